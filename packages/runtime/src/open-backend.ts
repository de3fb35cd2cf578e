import { WinnowError, type Backend } from "@winnow/core-tensor";
import type * as webGpu from "@winnow/gpu-backend";

import { platform } from "./platform/node";

/** `auto`: WebGPU where there is a real GPU, else the CPU; never a software adapter. */
export type BackendName = "cpu" | "webgpu" | "auto";

export interface OpenBackendOptions {
  /** Called with a line that the user should see, such as that there is only a software adapter. */
  readonly onNote?: (line: string) => void;
}

/**
 * A backend for a program: the CPU's (in Node in a thread of its own), or WebGPU's, which is only loaded where it is asked for.
 *
 * @throws WinnowError `backend` when WebGPU is asked for and there is no adapter, or `@winnow/gpu-backend` is not installed.
 * @example
 * ```ts
 * using model = await loadModel("models/demo", { backend: await openBackend("auto") });
 * ```
 */
export async function openBackend(name: BackendName, options: OpenBackendOptions = {}): Promise<Backend> {
  if (name === "webgpu") return openWebGpu(true, options);
  if (name === "cpu") return platform.openCpu();
  try {
    return await openWebGpu(false, options);
  } catch (error) {
    if (error instanceof WinnowError) return platform.openCpu();
    throw error;
  }
}

async function openWebGpu(allowSoftware: boolean, { onNote }: OpenBackendOptions): Promise<Backend> {
  const { createWebGpuBackend, requestGpu } = await loadWebGpu();
  const gpu = await requestGpu({ allowSoftware });
  if (gpu.adapter.software !== null) {
    onNote?.(`there is no GPU, so ${gpu.adapter.software} computes in software; the CPU backend is faster`);
  }
  return createWebGpuBackend(gpu);
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
