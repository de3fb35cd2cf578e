/** What went wrong, as a word a program can branch on. */
export type WinnowErrorCode =
  | "shape"
  | "dtype"
  | "range"
  | "memory"
  | "disposed"
  | "aborted"
  | "backend"
  | "file"
  | "model"
  | "tokenizer"
  | "policy"
  | "plugin"
  | "plan"
  | "prompt"
  | "context"
  | "numeric"
  | "usage";

/**
 * Every error that Winnow throws on purpose. The message is one line that names the thing, what was
 * found, what was expected and the fix, so that a program can print it as it is.
 *
 * @example
 * ```ts
 * try { await loadModel("missing") } catch (e) {
 *   if (e instanceof WinnowError && e.code === "file") console.error(e.message);
 * }
 * ```
 */
export class WinnowError extends Error {
  override readonly name: string = "WinnowError";

  constructor(
    readonly code: WinnowErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
