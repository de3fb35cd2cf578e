import { availableParallelism } from "node:os";

import type { Backend } from "@winnow/core-tensor";
import { createCpuBackendOf } from "@winnow/core-tensor/cpu";
import { createCpuWorkerBackend } from "@winnow/core-tensor/worker";

import { kernelBytes } from "./kernels";
import { simdEngine } from "./simd-engine";
import type { SimdBackendOptions } from "./simd-backend-options";
import { allowRelaxedSimd, startNodeHelper } from "./threads/node-helpers";
import { threadCount } from "./threads/thread-count";
import type { ThreadSetup } from "./threads/thread-setup";
import { HOLDING } from "./weight-form";

export type { SimdBackendOptions } from "./simd-backend-options";
export { allowRelaxedSimd } from "./threads/node-helpers";

/**
 * The fast CPU backend, led by the calling thread: an operation runs when it is called.
 *
 * @throws WinnowError `backend` where the runtime lacks WebAssembly SIMD or threads, `usage` for a bad number of threads.
 * @example
 * ```ts
 * using backend = await createSimdBackend();
 * using model = await loadModel("models/demo", { backend });
 * ```
 */
export async function createSimdBackend(options: SimdBackendOptions = {}): Promise<Backend> {
  const threads = threadCount(options.threads, availableParallelism());
  const trustsByteDots = allowRelaxedSimd();
  const module = await WebAssembly.compile(kernelBytes());
  return createCpuBackendOf(
    simdEngine({ module, threads, startHelper: startNodeHelper, trustsByteDots, maySleep: true }),
  );
}

/** `createSimdWorkerBackend`'s. */
export interface SimdWorkerOptions extends SimdBackendOptions {
  /** Where `cpu-worker.js` of this package lies, for programs whose bundler has moved it away from this module. */
  readonly script?: URL;
}

/**
 * The fast CPU backend led by a thread of its own, so that a long prompt blocks neither Ctrl-C nor a stream nor a timer in the
 * calling thread, and `interrupt` stops it within milliseconds.
 *
 * @throws WinnowError `usage` for a bad number of threads; where the runtime lacks what it needs, the first `flush` or
 * `download` rejects.
 * @example
 * ```ts
 * using backend = createSimdWorkerBackend({ threads: 2 });
 * ```
 */
export function createSimdWorkerBackend(options: SimdWorkerOptions = {}): Backend {
  const setup: ThreadSetup = { threads: threadCount(options.threads, availableParallelism()) };
  return createCpuWorkerBackend({
    script: options.script ?? new URL("./cpu-worker.js", import.meta.url),
    holding: HOLDING,
    setup,
  });
}
