import { WinnowError } from "@winnow/core-tensor";

/**
 * @param doing what an abort stops, such as `reading the prompt`.
 * @throws WinnowError `aborted` once the signal is, with its reason as the cause.
 */
export function throwIfAborted(signal: AbortSignal | undefined, doing: string): void {
  if (signal?.aborted === true) throw new WinnowError("aborted", `${doing} was aborted`, { cause: signal.reason });
}
