import { WinnowError, type Backend } from "@winnow/core-tensor";
import type { GpuTrace, TraceTotal, WebGpuBackend } from "@winnow/gpu-backend";

import { WholeFile } from "./whole-file";

/** Takes the time of every kernel from `start` to `end`, and writes it to a file. */
export class KernelTrace {
  #attached: { readonly backend: WebGpuBackend; readonly file: WholeFile } | null = null;
  #running: { readonly stop: () => Promise<GpuTrace>; readonly file: WholeFile } | null = null;

  constructor(private readonly path: string) {}

  /**
   * Say whose kernels; that it can be done is known before anything is computed.
   *
   * @throws WinnowError `usage` where the backend has no kernels to time, or the file could not be written.
   */
  async attach(backend: Backend): Promise<void> {
    if (!isWebGpu(backend)) {
      throw new WinnowError(
        "usage",
        "--trace takes the times of a GPU's kernels, and this would run on the CPU; add --backend webgpu",
      );
    }
    if (!backend.gpu.capabilities.timestamps) {
      throw new WinnowError(
        "usage",
        `--trace needs timestamps, and ${backend.gpu.adapter.name} offers no timestamp-query; leave it out here`,
      );
    }
    this.#attached = { backend, file: await this.#expectWritable() };
  }

  start(): void {
    if (this.#attached === null) throw new WinnowError("usage", "the trace has no backend; attach it to one first");
    const { backend, file } = this.#attached;
    this.#running = { stop: backend.startTrace(), file };
  }

  /**
   * Write the file, whole or not at all.
   *
   * @throws WinnowError `file` when it cannot be written.
   */
  async end(): Promise<GpuTrace> {
    if (this.#running === null) throw new WinnowError("usage", "the trace was not started; start it first");
    const { stop, file } = this.#running;
    const trace = await stop();
    try {
      await file.write(`${JSON.stringify(trace.toChromeTrace())}\n`);
    } catch (cause) {
      throw new WinnowError("file", `--trace "${this.path}" cannot be written: ${messageOf(cause)}`, { cause });
    }
    return trace;
  }

  async #expectWritable(): Promise<WholeFile> {
    try {
      return await WholeFile.at(this.path);
    } catch (cause) {
      throw new WinnowError(
        "usage",
        `--trace "${this.path}" cannot be written: ${messageOf(cause)}; name a file in a folder that can be written to`,
        { cause },
      );
    }
  }
}

/** Time by kernel as `--json` gives it; milliseconds. */
export function traceResult(totals: readonly TraceTotal[]): object {
  const kernels = totals.map(({ label, count, total, share }) => ({
    kernel: label,
    dispatches: count,
    ms: total / 1e6,
    share,
  }));
  return { ms: kernels.reduce((sum, { ms }) => sum + ms, 0), kernels };
}

function isWebGpu(backend: Backend): backend is WebGpuBackend {
  return backend.name === "webgpu" && "startTrace" in backend && "gpu" in backend;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
