import { WinnowError, type Backend } from "@winnow/core-tensor";
import type * as webGpu from "@winnow/gpu-backend";

import { platform } from "./platform/node";

/**
 * `auto`: WebGPU where there is a real GPU, else the CPU; never a software adapter. `reference`: plain JavaScript in float64,
 * which the others are tested against.
 */
export type BackendName = "cpu" | "webgpu" | "auto" | "reference";

/**
 * Texts by name, read only: a `TextStore` of `@winnow/gpu-backend` is one. Its type is not imported, so that programs without
 * that package, which is optional, can be type-checked.
 */
export interface KernelStore {
  /** @returns null where nothing is kept under that name. */
  read(name: string): Promise<string | null>;
}

export interface OpenBackendOptions {
  /** Threads that the CPU backend computes with: 1 to 256. Default: the cores there are, up to 16. */
  readonly threads?: number | undefined;
  /**
   * Where WebGPU's kernels were saved that are the fastest on this adapter (`saveKernelChoices` of `@winnow/gpu-backend`);
   * without it, or where nothing was saved, they are those that suit most.
   */
  readonly kernelStore?: KernelStore | undefined;
  /** Called with a line that the user should see, such as that there is only a software adapter. */
  readonly onNote?: (line: string) => void;
}

/**
 * A backend for a program: the CPU's (in Node led by a thread of its own), or WebGPU's, which is only loaded where it is asked for.
 *
 * @throws WinnowError `backend` when WebGPU is asked for and there is no adapter, or `@winnow/gpu-backend` is not installed.
 * @example
 * ```ts
 * using model = await loadModel("models/demo", { backend: await openBackend("auto") });
 * ```
 */
export async function openBackend(name: BackendName, options: OpenBackendOptions = {}): Promise<Backend> {
  if (name === "webgpu") return openWebGpu(true, options);
  if (name === "cpu") return platform.openCpu(options);
  if (name === "reference") return platform.openReference();
  try {
    return await openWebGpu(false, options);
  } catch (error) {
    if (error instanceof WinnowError) return platform.openCpu(options);
    throw error;
  }
}

async function openWebGpu(allowSoftware: boolean, { kernelStore, onNote }: OpenBackendOptions): Promise<Backend> {
  const { createWebGpuBackend, loadKernelChoices, requestGpu } = await loadWebGpu();
  const gpu = await requestGpu({ allowSoftware });
  if (gpu.adapter.software !== null) {
    onNote?.(`there is no GPU, so ${gpu.adapter.software} computes in software; the CPU backend is faster`);
  }
  if (kernelStore === undefined) return createWebGpuBackend(gpu);
  return createWebGpuBackend(gpu, { kernels: await loadKernelChoices(kernelStore, gpu) });
}

async function loadWebGpu(): Promise<typeof webGpu> {
  try {
    return await import("@winnow/gpu-backend");
  } catch (cause) {
    throw new WinnowError(
      "backend",
      "WebGPU needs the package @winnow/gpu-backend, which cannot be loaded here; install it, or use the CPU backend",
      { cause },
    );
  }
}
