import type { Decision } from "./decision";

/** What is turned so that a cut meets a target. */
export type Turned =
  /** T: what each head's recovery has to reach. */
  | { readonly kind: "recovery" }
  /** What a row may lose on one token. */
  | { readonly kind: "weight" }
  /** The share of the length that heads keep, in (0, 1], and the decision with such a budget. */
  | { readonly kind: "budget"; readonly decisionAt: (x: number) => Decision };

/** How much a sequence's cache may take after a cut of its prompt. */
export interface ByteTarget {
  /** Of the bytes of the full cache's slots in f16, in (0, 1]. */
  readonly share: number;
  readonly turned: Turned;
}

/** What met a target: of all cuts that are small enough, that which keeps the most. */
export type Fitted =
  | { readonly kind: "recovery"; readonly recovery: number }
  | { readonly kind: "weight"; readonly weight: number }
  | { readonly kind: "budget"; readonly budget: number; readonly decision: Decision };

/** The T that a fitted cut has; null for a budget, which has none. */
export function fittedRecovery(fitted: Fitted): number | null {
  switch (fitted.kind) {
    case "recovery":
      return fitted.recovery;
    case "weight":
      return Math.max(0, 1 - fitted.weight);
    case "budget":
      return null;
  }
}

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
