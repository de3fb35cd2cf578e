import { WinnowError } from "@winnow/core-tensor";

/** What went wrong on the device, as a word a program can branch on. */
export type GpuFailure = "no-adapter" | "lost" | "validation" | "out-of-memory" | "shader" | "limit" | "internal";

/**
 * An error of a device. Its `code` is `memory` where a smaller model, context or cache type would help, else `backend`.
 *
 * @example
 * ```ts
 * try { using gpu = await requestGpu() } catch (e) {
 *   if (e instanceof GpuError && e.failure === "no-adapter") return createCpuBackend();
 *   throw e;
 * }
 * ```
 */
export class GpuError extends WinnowError {
  constructor(
    readonly failure: GpuFailure,
    message: string,
    options?: ErrorOptions,
  ) {
    super(failure === "out-of-memory" || failure === "limit" ? "memory" : "backend", message, options);
  }
}
