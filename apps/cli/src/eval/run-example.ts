import { WinnowError } from "@winnow/core-tensor";
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

/** A model, and the same once more with its cache in q8, where some cell has it so. */
export interface Models {
  readonly whole: Model;
  readonly quantised: Model | null;
}

/**
 * Read an example once and answer it under every policy; once more where the cache is stored in q8.
 *
 * @param cells the first of which is the full cache.
 * @returns one outcome a cell.
 */
export async function runExample(
  { whole, quantised }: Models,
  example: Example,
  grading: Grading,
  cells: readonly Cell[],
  options: { readonly seen: boolean; readonly signal?: AbortSignal | undefined },
): Promise<readonly Outcome[]> {
  const { prompt, before, answer } = exampleTokens(whole, example, options.seen);
  const outcomes: Outcome[] = [];
  let full: readonly Float32Array[] | null = null;
  const follow = async (comparison: Comparison, way: number): Promise<void> => {
    options.signal?.throwIfAborted();
    using cut = await comparison.cut(way);
    const { size } = cut;
    const tokens = cut.sequence.tokens.length;
    const shares = cut.sequence.layers.map(({ lengths }) => lengths.map((length) => length / tokens));
    const rows = await cut.follow(before, answer);
    full ??= rows;
    outcomes.push({ ...scoreAnswer(grading, answer, rows, full), ...size, shares });
  };
  const plain = cells.filter((cell) => !cell.quantised);
  using comparison = await Comparison.read(
    whole,
    prompt,
    plain.map(({ session }) => session),
    options,
  );
  for (const cell of cells) {
    if (!cell.quantised) {
      await follow(comparison, plain.indexOf(cell));
      continue;
    }
    if (quantised === null) throw new WinnowError("range", `"${cell.policy}" needs the model with its cache in q8`);
    using other = await Comparison.read(quantised, prompt, [cell.session], options);
    await follow(other, 0);
  }
  return outcomes;
}
