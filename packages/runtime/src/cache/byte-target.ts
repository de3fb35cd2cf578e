import type { Decision } from "./cache-policy";

/** How much a sequence's cache may take after a cut of its prompt, and what is turned so that it does. */
export interface ByteTarget {
  /** Of the bytes of the full cache's slots in f16, in (0, 1]. */
  readonly share: number;
  /** What to decide with a budget x in (0, 1], the share of the length that heads keep; null where T is turned. */
  readonly decisionAt: ((x: number) => Decision) | null;
}

/** What met a target: the greatest T, or budget, whose cut is no larger. */
export type Fitted =
  | { readonly kind: "recovery"; readonly recovery: number }
  | { readonly kind: "budget"; readonly budget: number; readonly decision: Decision };

/**
 * The last of some ascending steps whose cost is within a limit; the first where none is.
 *
 * @param cost of a step by its number; never less for a later one.
 */
export async function lastWithin(
  steps: number,
  limit: number,
  cost: (step: number) => Promise<number>,
): Promise<number> {
  let low = 0;
  let high = steps - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((await cost(middle)) <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}
