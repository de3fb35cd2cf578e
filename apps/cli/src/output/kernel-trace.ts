import { WinnowError, type Backend } from "@winnow/core-tensor";
import type { GpuTrace, TraceTotal, WebGpuBackend } from "@winnow/gpu-backend";

import { outputFile, type OutputFile } from "./output-file";

/** Takes the time of every kernel from `start` to `end`, and writes it to a file. */
export class KernelTrace {
  #attached: { readonly backend: WebGpuBackend; readonly file: OutputFile } | null = null;
  #running: { readonly stop: () => Promise<GpuTrace>; readonly file: OutputFile } | null = null;

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
    this.#attached = { backend, file: await outputFile(this.path, "--trace") };
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
    await file.write(`${JSON.stringify(trace.toChromeTrace())}\n`);
    return trace;
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
