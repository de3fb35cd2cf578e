import type { Policy } from "@winnow/kv-policies";

import { decisionInForce } from "./decision-in-force";
import type { HeadState, Sequence } from "./sequence";

/** The policies that a head can be given, in their order, and what each was to recover. */
export interface Chain {
  readonly candidates: readonly Policy[];
  /** T, in (0, 1]; 0 where a target in bytes was met by no recovery at all. */
  readonly threshold: number;
}

/** Sweeps that are put off in a row before the head is given another policy: one row may be an exception. */
const MOST_DELAYS = 2;

/** What a sequence's heads can be given while it generates; null where drift is ignored. */
export function chainOf(sequence: Pick<Sequence, "policy" | "fitted">): Chain | null {
  if (sequence.policy.drift === "ignore") return null;
  const decision = decisionInForce(sequence);
  if (decision.kind !== "search" || decision.threshold === null) return null;
  return { candidates: decision.candidates, threshold: decision.threshold };
}

/** The policies that a head may still be given while it generates: what they rank by has to be stored from the cut on. */
export function upgradesOf(
  sequence: Pick<Sequence, "policy" | "fitted">,
  { candidate }: Pick<HeadState, "candidate">,
): readonly Policy[] {
  return chainOf(sequence)?.candidates.slice(candidate + 1) ?? [];
}

/**
 * The heads whose sweep would drop more of the newest row's attention than T lets it: the share is of the row's weights over
 * the query heads of the group together.
 *
 * @param sums by head: the row's weights on slots that would be dropped, and on all; 0 where a head does not store them.
 * @returns their rows among the heads of all layers.
 */
export function driftingRows(sums: ArrayLike<number>, { threshold }: Chain): ReadonlySet<number> {
  const rows = Array.from({ length: sums.length / 2 }, (_, row) => row);
  return new Set(rows.filter((row) => (sums[2 * row] ?? 0) > (1 - threshold) * (sums[2 * row + 1] ?? 0)));
}

/**
 * A head for which a sweep is put off: when that happens in a row it moves up the chain. One that has come to its end is put
 * off again and again.
 */
export function delayed(head: HeadState, { candidates }: Chain): HeadState {
  const delays = head.delays + 1;
  const candidate = head.candidate + 1;
  const policy = candidates[candidate];
  if (delays < MOST_DELAYS || policy === undefined) return { ...head, delays };
  return { ...head, policy, candidate, recovery: head.measured[candidate]?.recovery ?? null, delays: 0 };
}
