import { WinnowError, type QuantisedKvType } from "@winnow/core-tensor";
import { Comparison, type CutPrompt, type CutSize, type Model, type PromptPart } from "@winnow/runtime";

import { throwIfInterrupted } from "../interrupt";
import type { Cell } from "./cells";
import type { AnswerScore } from "./score";
import type { Shares } from "./shares";

/** What became of an example under one policy at one target. */
export interface Outcome extends AnswerScore, CutSize {
  /** Kept slots of each layer's KV heads, as a share of the prompt. */
  readonly shares: Shares;
}

/** A model, and the same once more for each other way to store its cache that some cell has. */
export interface Models {
  readonly whole: Model;
  readonly quantised: ReadonlyMap<QuantisedKvType, Model>;
}

/** @throws WinnowError `range` where the model was not loaded with its cache stored as the cell has it. */
export function modelOf({ whole, quantised }: Models, { policy, kvType }: Cell): Model {
  const model = kvType === null ? whole : quantised.get(kvType);
  if (model === undefined)
    throw new WinnowError("range", `"${policy}" needs the model with its cache in ${kvType ?? "its own type"}`);
  return model;
}

/**
 * Read a prompt once for each way to store its cache, and answer it under every cell.
 *
 * @param cells the first of which is the full cache, stored as the model has it.
 * @param answer called for one cell after the other, the first before all others, with the prompt's cut; `again` makes the same
 * anew, for the caller to dispose of.
 * @returns one outcome a cell.
 */
export async function inEveryCell(
  models: Models,
  prompt: PromptPart,
  cells: readonly Cell[],
  signal: AbortSignal | undefined,
  answer: (cut: CutPrompt, again: () => Promise<CutPrompt>) => Promise<AnswerScore>,
): Promise<readonly Outcome[]> {
  const outcomes = new Map<Cell, Outcome>();
  for (const kvType of new Set(cells.map((cell) => cell.kvType))) {
    const alike = cells.filter((cell) => cell.kvType === kvType);
    const [first] = alike;
    if (first === undefined) continue;
    const ways = alike.map(({ session }) => session);
    using comparison = await Comparison.read(modelOf(models, first), prompt, ways, { signal });
    for (const [way, cell] of alike.entries()) {
      throwIfInterrupted(signal);
      using cut = await comparison.cut(way);
      const { size, sequence } = cut;
      const read = sequence.tokens.length;
      const shares = sequence.layers.map(({ lengths }) => lengths.map((length) => length / read));
      outcomes.set(cell, { ...(await answer(cut, () => comparison.cut(way))), ...size, shares });
    }
  }
  return cells.flatMap((cell) => outcomes.get(cell) ?? []);
}
