import { WinnowError } from "@winnow/core-tensor";

import { GpuError } from "./device/gpu-error";

/** An operation's failure as the typed error that `flush` rejects with: it begins with the operation's name. */
export function operationError(name: string, error: unknown): WinnowError {
  if (error instanceof WinnowError) {
    if (error.message.startsWith(`${name}: `)) return error;
    const message = `${name}: ${error.message}`;
    if (error instanceof GpuError) return new GpuError(error.failure, message, { cause: error });
    return new WinnowError(error.code, message, { cause: error });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new WinnowError("backend", `the operation ${name} failed: ${reason}`, { cause: error });
}
