import { WinnowError } from "@winnow/core-tensor";

import { INTERRUPTED } from "./failure";

/** Ctrl-C as a signal: the first stops what is under way, the second ends the program at once. */
export function abortOnInterrupt(): { readonly signal: AbortSignal; readonly stop: () => void } {
  const controller = new AbortController();
  const interrupted = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    controller.abort();
  };
  process.on("SIGINT", interrupted);
  return { signal: controller.signal, stop: () => process.off("SIGINT", interrupted) };
}

/** @throws WinnowError `aborted` when what is under way was stopped. */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new WinnowError("aborted", "stopped by Ctrl-C");
}
