import type { Backend } from "@winnow/core-tensor";
import { createCpuBackendOf } from "@winnow/core-tensor/cpu";

import { kernelBytes } from "./kernels";
import { simdEngine } from "./simd-engine";
import type { SimdBackendOptions } from "./simd-backend-options";
import { startWebHelper } from "./threads/web-helpers";
import { threadCount } from "./threads/thread-count";

export type { SimdBackendOptions } from "./simd-backend-options";

/**
 * The fast CPU backend, led by the calling thread: an operation runs when it is called. Whoever wants the page to stay
 * responsive calls this in a web worker.
 *
 * @throws WinnowError `backend` where the browser lacks WebAssembly SIMD or atomics, `usage` for a bad number of threads.
 */
export async function createSimdBackend(options: SimdBackendOptions = {}): Promise<Backend> {
  const shares = globalThis.crossOriginIsolated;
  const threads = threadCount(options.threads, shares ? navigator.hardwareConcurrency : 1);
  const module = await WebAssembly.compile(kernelBytes());
  return createCpuBackendOf(
    simdEngine({
      module,
      threads: shares ? threads : 1,
      startHelper: startWebHelper,
      // As old as `Promise.try` are engines that multiply bytes as the standard says; Chrome 118 did not.
      trustsByteDots: "try" in Promise,
      // Only a page's main thread has a document, and it may not sleep.
      maySleep: typeof document === "undefined",
    }),
  );
}
