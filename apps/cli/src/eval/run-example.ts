import { Comparison, type CutSize, type Model } from "@winnow/runtime";

import type { Cell } from "./cells";
import { exampleTokens } from "./example-tokens";
import { scoreAnswer, type AnswerScore } from "./score";
import type { Example, Grading } from "./tasks/task";

/** What became of an example under one policy at one target. */
export interface Outcome extends AnswerScore, CutSize {
  /** Kept slots of each layer's KV heads, as a share of the prompt. */
  readonly shares: readonly (readonly number[])[];
}

/**
 * Read an example once and answer it under every policy.
 *
 * @param cells the first of which is the full cache.
 * @returns one outcome a cell.
 */
export async function runExample(
  model: Model,
  example: Example,
  grading: Grading,
  cells: readonly Cell[],
  options: { readonly seen: boolean; readonly signal?: AbortSignal | undefined },
): Promise<readonly Outcome[]> {
  const { prompt, before, answer } = exampleTokens(model, example, options.seen);
  const ways = cells.map(({ session }) => session);
  using comparison = await Comparison.read(model, prompt, ways, { signal: options.signal });
  const outcomes: Outcome[] = [];
  let full: readonly Float32Array[] | null = null;
  for (const way of ways.keys()) {
    options.signal?.throwIfAborted();
    using cut = await comparison.cut(way);
    const { size } = cut;
    const tokens = cut.sequence.tokens.length;
    const shares = cut.sequence.layers.map(({ lengths }) => lengths.map((length) => length / tokens));
    const rows = await cut.follow(before, answer);
    full ??= rows;
    outcomes.push({ ...scoreAnswer(grading, answer, rows, full), ...size, shares });
  }
  return outcomes;
}
