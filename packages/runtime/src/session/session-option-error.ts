import { WinnowError } from "@winnow/core-tensor";

import type { SessionOptions } from "./session-options";

/**
 * Session options that contradict each other, or are out of range. Programs whose users call an option by a name of their own,
 * such as the field of a request, can tell which one to change.
 *
 * @example
 * ```ts
 * try { model.createSession({ policy: "adaptive", drift: "upgrade" }) } catch (error) {
 *   if (error instanceof SessionOptionError) console.error(error.option); // drift
 * }
 * ```
 */
export class SessionOptionError extends WinnowError {
  override readonly name = "SessionOptionError";

  /** @param option the one to change or leave out. */
  constructor(
    readonly option: keyof SessionOptions,
    message: string,
  ) {
    super("usage", message);
  }
}
