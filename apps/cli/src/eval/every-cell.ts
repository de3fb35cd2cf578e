import { WinnowError } from "@winnow/core-tensor";
import { Comparison, type CutPrompt, type CutSize, type Model, type PromptPart } from "@winnow/runtime";

import { throwIfInterrupted } from "../interrupt";
import type { Cell } from "./cells";
import type { AnswerScore } from "./score";

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
 * Read a prompt once, and once more where the cache is stored in q8, and answer it under every cell.
 *
 * @param cells the first of which is the full cache.
 * @param answer called for one cell after the other, with the prompt's cut; `again` makes the same anew, for the caller to
 * dispose of.
 * @returns one outcome a cell.
 */
export async function inEveryCell(
  { whole, quantised }: Models,
  prompt: PromptPart,
  cells: readonly Cell[],
  signal: AbortSignal | undefined,
  answer: (cut: CutPrompt, again: () => Promise<CutPrompt>) => Promise<AnswerScore>,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  const run = async (comparison: Comparison, way: number): Promise<void> => {
    throwIfInterrupted(signal);
    using cut = await comparison.cut(way);
    const { size, sequence } = cut;
    const read = sequence.tokens.length;
    const shares = sequence.layers.map(({ lengths }) => lengths.map((length) => length / read));
    outcomes.push({ ...(await answer(cut, () => comparison.cut(way))), ...size, shares });
  };
  const plain = cells.filter((cell) => !cell.quantised);
  const ways = plain.map(({ session }) => session);
  using comparison = await Comparison.read(whole, prompt, ways, { signal });
  for (const cell of cells) {
    if (!cell.quantised) {
      await run(comparison, plain.indexOf(cell));
      continue;
    }
    if (quantised === null) throw new WinnowError("range", `"${cell.policy}" needs the model with its cache in q8`);
    using other = await Comparison.read(quantised, prompt, [cell.session], { signal });
    await run(other, 0);
  }
  return outcomes;
}
