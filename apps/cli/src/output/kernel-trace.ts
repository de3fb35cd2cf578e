import { access, constants, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

import { WinnowError, type Backend } from "@winnow/core-tensor";
import type { GpuTrace, TraceTotal, WebGpuBackend } from "@winnow/gpu-backend";

/** Takes the time of every kernel from `start` to `end`, and writes it to a file. */
export class KernelTrace {
  #backend: WebGpuBackend | null = null;
  #stop: (() => Promise<GpuTrace>) | null = null;

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
    await expectWritable(this.path);
    this.#backend = backend;
  }

  start(): void {
    this.#stop = this.#backend?.startTrace() ?? null;
  }

  /**
   * Write the file, whole or not at all.
   *
   * @throws WinnowError `file` when it cannot be written.
   */
  async end(): Promise<GpuTrace> {
    if (this.#stop === null) throw new WinnowError("usage", "the trace was not started; attach it to a backend first");
    const trace = await this.#stop();
    const temporary = `${this.path}.${process.pid}.tmp`;
    try {
      await writeFile(temporary, `${JSON.stringify(trace.toChromeTrace())}\n`);
      await rename(temporary, this.path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw new WinnowError("file", `the trace cannot be written: ${messageOf(error)}`);
    }
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

async function expectWritable(path: string): Promise<void> {
  try {
    const there = await stat(path).catch(() => null);
    if (there?.isDirectory() === true) throw new Error(`${path} is a folder`);
    await access(dirname(path), constants.W_OK);
    if (there !== null) await access(path, constants.W_OK);
  } catch (error) {
    throw new WinnowError(
      "usage",
      `--trace cannot write its file: ${messageOf(error)}; name one in a folder that exists`,
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
