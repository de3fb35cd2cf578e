import type { Cell } from "./cells";
import type { Outcome } from "./every-cell";
import { limitOf, type Limit } from "./limit";
import { meanShares, type Shares } from "./shares";
import { holm } from "./statistics/holm";
import { pairedDifference } from "./statistics/paired";
import { wilson } from "./statistics/wilson";
import type { Task } from "./tasks/task";

/** What a sample was asked, for those who look at what went wrong. */
export interface Asked {
  readonly sample: number;
  readonly question: string;
  readonly answer: string;
}

/** One sample of a task under every cell. */
export interface AnsweredSample {
  readonly asked: Asked;
  readonly outcomes: readonly Outcome[];
}

/** How a policy did on a task at a limit, a mean over the samples. */
export type EvalResult = Limit & {
  readonly task: string;
  readonly policy: string;
  readonly samples: number;
  /** In [0, 1]: of exact answers, of right tokens, or the geometric mean of the tokens' probabilities. */
  readonly score: number;
  /** 95 % around the score: of the paired difference from the full cache; of the full cache itself Wilson's. */
  readonly low: number;
  readonly high: number;
  /** Kept slots over all heads. */
  readonly slots: number;
  /** Of the kept slots and their columns, keys and values in f16. */
  readonly bytes: number;
  readonly fullBytes: number;
  /** Of the pages and columns in use, as the backend stores them. */
  readonly allocatedBytes: number;
  /** From the full cache's distributions, nats a token. */
  readonly kl: number;
  /** Of tokens whose first choice is the full cache's. */
  readonly agreement: number;
  /** Answers that were right with the full cache and wrong without. */
  readonly flips: number;
  readonly flipped: readonly Asked[];
  /** Of no difference from the full cache, corrected by Holm over the whole table; null for the full cache. */
  readonly p: number | null;
  /** Of the prompt's slots, those that are kept. */
  readonly shares: Shares;
};

/**
 * @param cells the first of which is the full cache.
 * @param answered by task, in the order of the tasks.
 */
export function resultsOf(
  tasks: readonly Pick<Task, "name" | "grading">[],
  cells: readonly Cell[],
  answered: readonly (readonly AnsweredSample[])[],
): readonly EvalResult[] {
  const found = tasks.flatMap((task, t) => cells.map((cell, c) => resultOf(task, cell, c, answered[t] ?? [])));
  const compared = found.flatMap(({ p }, i) => (p === null ? [] : [{ i, p }]));
  const corrected = holm(compared.map(({ p }) => p));
  const byResult = new Map(compared.map(({ i }, k) => [i, corrected[k] ?? null]));
  return found.map((result, i) => ({ ...result, p: byResult.get(i) ?? null }));
}

function resultOf(
  task: Pick<Task, "name" | "grading">,
  cell: Cell,
  c: number,
  samples: readonly AnsweredSample[],
): EvalResult {
  const own = samples.flatMap(({ outcomes }) => outcomes[c] ?? []);
  const full = samples.flatMap(({ outcomes }) => outcomes[0] ?? []);
  const mean = (of: (outcome: Outcome) => number): number =>
    own.length === 0 ? 0 : own.reduce((sum, outcome) => sum + of(outcome), 0) / own.length;
  const score = mean((outcome) => outcome.score);
  const isFull = c === 0;
  const difference = isFull
    ? null
    : pairedDifference(
        own.map((outcome) => outcome.score),
        full.map((outcome) => outcome.score),
      );
  const interval =
    difference === null
      ? wilson(score, own.length)
      : { low: score + difference.low - difference.mean, high: score + difference.high - difference.mean };
  const flipped =
    task.grading === "exact"
      ? samples.filter(({ outcomes }) => outcomes[0]?.score === 1 && outcomes[c]?.score === 0).map(({ asked }) => asked)
      : [];
  return {
    task: task.name,
    policy: cell.policy,
    ...limitOf(cell),
    samples: own.length,
    score,
    ...interval,
    slots: mean((outcome) => outcome.slots),
    bytes: mean((outcome) => outcome.bytes),
    fullBytes: mean((outcome) => outcome.fullBytes),
    allocatedBytes: mean((outcome) => outcome.allocatedBytes),
    kl: mean((outcome) => outcome.kl),
    agreement: mean((outcome) => outcome.agreement),
    flips: flipped.length,
    flipped,
    p: difference?.p ?? null,
    shares: meanShares(own.map((outcome) => outcome.shares)),
  };
}
