import { BoolOp, MAX_OPERAND, MAX_PROGRAM_WORDS, WinnowError, boolWord, type SelectProgram } from "@winnow/core-tensor";

/** Keeps every slot. */
export const KEEP_ALL: SelectProgram = { ranks: [], keep: [boolWord(BoolOp.constant, 1)] };

/**
 * A program that keeps of its slots those in a layer's window: what lies further behind the newest row no later row sees.
 *
 * @param window positions that a row sees, itself included; null for all.
 * @throws WinnowError `policy` where the two are longer than a device runs.
 */
export function withinWindow(program: SelectProgram, window: number | null): SelectProgram {
  if (window === null) return program;
  const near = boolWord(BoolOp.near, Math.min(window, MAX_OPERAND));
  const keep = program === KEEP_ALL ? [near] : [...program.keep, near, boolWord(BoolOp.and)];
  if (keep.length > MAX_PROGRAM_WORDS) {
    throw new WinnowError(
      "policy",
      `a policy and a layer's window of ${window} positions take ${keep.length} words, and a device runs ${MAX_PROGRAM_WORDS}; use fewer terms`,
    );
  }
  return { ranks: program.ranks, keep };
}
