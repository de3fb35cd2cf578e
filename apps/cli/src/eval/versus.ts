import type { Cell } from "./cells";
import { limitOf, sameLimit, type Limit } from "./limit";
import type { AnsweredSample } from "./results";
import { holm } from "./statistics/holm";
import { pairedDifference } from "./statistics/paired";

/** A policy beside another one that is held to the same. */
export type Rivalry = Limit & {
  readonly task: string;
  readonly other: string;
  /** Of the scores, on the same examples: above 0 where the policy is better. */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  /** Of no difference, corrected by Holm over all comparisons. */
  readonly p: number;
};

/** How a policy fares against all others. */
export interface Versus {
  readonly policy: string;
  readonly comparisons: readonly Rivalry[];
}

/**
 * Compare a policy with every other one at equal targets or recoveries, example by example.
 *
 * @param answered by task, in the order of the tasks.
 * @returns null where the policy is not among the cells, or has nothing to be compared with.
 */
export function versusOf(
  policy: string,
  tasks: readonly { readonly name: string }[],
  cells: readonly Cell[],
  answered: readonly (readonly AnsweredSample[])[],
): Versus | null {
  const held = ({ target, recovery }: Limit): boolean => target !== null || recovery !== null;
  const pairs = cells.flatMap((own, o) =>
    own.policy === policy && held(own)
      ? cells.flatMap((other, r) => (other.policy !== policy && sameLimit(own, other) ? [{ own, o, other, r }] : []))
      : [],
  );
  if (pairs.length === 0) return null;
  const found = tasks.flatMap(({ name }, t) =>
    pairs.map(({ own, o, other, r }): Rivalry => {
      const scores = (cell: number): number[] =>
        (answered[t] ?? []).map(({ outcomes }) => outcomes[cell]?.score ?? NaN);
      const { mean, low, high, p } = pairedDifference(scores(o), scores(r));
      return { ...limitOf(own), task: name, other: other.policy, difference: mean, low, high, p };
    }),
  );
  const corrected = holm(found.map(({ p }) => p));
  return { policy, comparisons: found.map((one, i) => ({ ...one, p: corrected[i] ?? one.p })) };
}
