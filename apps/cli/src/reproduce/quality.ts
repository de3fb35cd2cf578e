import { answerAll, type EvaluateOptions } from "../eval/evaluate";
import type { Models } from "../eval/every-cell";
import { limitOf, type Limit } from "../eval/limit";
import { meanOf } from "../eval/statistics/mean";
import { pairedDifference } from "../eval/statistics/paired";

/** How a policy fares against the full cache, over all tasks together. */
export type Quality = Limit & {
  readonly policy: string;
  readonly samples: number;
  /** Of the bytes of the full cache, stored the same way, those that the cut freed. */
  readonly pruned: number;
  /** Mean score, in [0, 1]. */
  readonly score: number;
  readonly fullScore: number;
  /** Of the paired difference from the full cache's score: 95 %. */
  readonly low: number;
  readonly high: number;
  /** Answers that score more than the full cache's, and half of those that score alike, as a share of all. */
  readonly win: number;
};

/**
 * Ask every task's samples under every cell, and count who wins against the full cache, which in the paper a judge says (table 1).
 *
 * @throws WinnowError `aborted`
 */
export async function measureQuality(models: Models, options: EvaluateOptions): Promise<readonly Quality[]> {
  const { answered } = await answerAll(models, options);
  const samples = answered.flat();
  return options.cells.map((cell, c) => {
    const scores = samples.map(({ outcomes }) => outcomes[c]?.score ?? NaN);
    const full = samples.map(({ outcomes }) => outcomes[0]?.score ?? NaN);
    const { low, high } = pairedDifference(scores, full);
    return {
      ...limitOf(cell),
      policy: cell.policy,
      samples: samples.length,
      pruned: meanOf(samples.map(({ outcomes }) => 1 - (outcomes[c]?.bytes ?? NaN) / (outcomes[0]?.bytes ?? NaN))),
      score: meanOf(scores),
      fullScore: meanOf(full),
      ...{ low, high },
      win: winRate(scores, full),
    };
  });
}

/** @returns 0.5 where neither side ever wins. */
export function winRate(scores: readonly number[], against: readonly number[]): number {
  return meanOf(scores.map((score, i) => (1 + Math.sign(score - (against[i] ?? NaN))) / 2));
}
