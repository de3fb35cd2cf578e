import { WinnowError } from "../errors";

/** An operation's failure as the typed error that `flush` rejects with. */
export function operationError(name: string, error: unknown): WinnowError {
  if (error instanceof WinnowError) {
    if (error.message.startsWith(`${name}: `)) return error;
    return new WinnowError(error.code, `${name}: ${error.message}`, { cause: error });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new WinnowError("backend", `the operation ${name} failed: ${reason}`, { cause: error });
}
