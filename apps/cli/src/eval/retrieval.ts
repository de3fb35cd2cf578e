import { WinnowError } from "@winnow/core-tensor";
import { PolicyRegistry, defineStrategy, type HeadView } from "@winnow/kv-policies";
import { Comparison, type Model } from "@winnow/runtime";

import { throwIfInterrupted } from "../interrupt";
import type { Cell } from "./cells";
import type { CutPoint } from "./cut-point";
import { exampleTokens, type ExampleTokens } from "./example-tokens";
import { limitOf, type Limit } from "./limit";
import { meanShares, type Shares } from "./shares";
import type { Example } from "./tasks/task";

/** What a policy leaves each head of what answers are copied from. */
export type RetrievalKept = Limit & {
  readonly policy: string;
  /** By layer and KV head: of the slots that hold the answer, those that are kept. */
  readonly answer: Shares;
  /** Of all slots of the prompt. */
  readonly all: Shares;
};

export interface Retrieval {
  /** Examples whose answer stands in their prompt. */
  readonly samples: number;
  /**
   * By layer and KV head: the share of the attention of the rows which write an answer that falls on the same answer in the
   * prompt; a mean over the group's query heads, the rows and the samples.
   */
  readonly scores: Shares;
  readonly kept: readonly RetrievalKept[];
}

export interface RetrievalOptions {
  /** What of a conversation has been read when it is cut. */
  readonly question: CutPoint;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Which heads look an answer up, and whether policies leave it to them. Retrieval heads (Wu et al. 2024, arXiv 2404.15574) are
 * those that attend to a token of the prompt while the model writes the same token.
 *
 * @param cells what cuts the prompts.
 * @throws WinnowError `range` where no example's answer stands in its prompt.
 */
export async function measureRetrieval(
  model: Model,
  examples: readonly Example[],
  cells: readonly Cell[],
  { question, signal, onProgress }: RetrievalOptions,
): Promise<Retrieval> {
  const scores: Shares[] = [];
  const answers = cells.map((): Shares[] => []);
  const alls = cells.map((): Shares[] => []);
  const ways = cells.map(({ session }) => session);
  for (const [i, example] of examples.entries()) {
    throwIfInterrupted(signal);
    const tokens = exampleTokens(model, example, { question });
    const place = placeOf(tokens);
    if (place !== null) {
      scores.push(await scoresOf(model, tokens, place));
      if (cells.length > 0) {
        using comparison = await Comparison.read(model, tokens.prompt, ways, { signal });
        for (const way of cells.keys()) {
          using cut = await comparison.cut(way);
          const positions = await cut.positions();
          answers[way]?.push(sharesOf(positions, place));
          alls[way]?.push(sharesOf(positions, { start: 0, end: tokens.prompt.ids.length }));
        }
      }
    }
    onProgress?.(i + 1, examples.length);
  }
  if (scores.length === 0) {
    throw new WinnowError(
      "range",
      "no answer stands in its prompt word for word; ask tasks that copy, such as needle and keys",
    );
  }
  return {
    samples: scores.length,
    scores: meanShares(scores),
    kept: cells.map((cell, c) => ({
      ...limitOf(cell),
      policy: cell.policy,
      answer: meanShares(answers[c] ?? []),
      all: meanShares(alls[c] ?? []),
    })),
  };
}

/** Positions from `start` to before `end`. */
interface Place {
  readonly start: number;
  readonly end: number;
}

/** Where the answer stands in the prompt; its first token may be another there, with a blank before it. */
function placeOf({ prompt: { ids }, answer }: ExampleTokens): Place | null {
  const [, ...rest] = answer.slice(0, -1);
  if (rest.length === 0) return null;
  for (let start = ids.length - rest.length - 1; start >= 0; start--) {
    if (rest.every((id, i) => ids[start + 1 + i] === id)) return { start, end: start + 1 + rest.length };
  }
  return null;
}

/** What the answer's rows add to the mass of the answer in the prompt. */
async function scoresOf(model: Model, { prompt, before, answer }: ExampleTokens, place: Place): Promise<Shares> {
  const read = [...prompt.ids, ...before];
  const without = await massesOf(model, read.slice(0, -1), place);
  const whole = await massesOf(model, [...read, ...answer.slice(0, -1)], place);
  const { queryHeads, kvHeads } = model.config;
  const rows = answer.length * (queryHeads / kvHeads);
  return whole.map((heads, l) => heads.map((mass, h) => (mass - (without[l]?.[h] ?? 0)) / rows));
}

/** The attention that all rows of a text pay to a place in it, over a group's query heads, by layer and KV head. */
async function massesOf(model: Model, ids: readonly number[], { start, end }: Place): Promise<Shares> {
  const found: number[][] = [];
  const massOf = ({ columns }: HeadView): number =>
    (columns.mass ?? new Float32Array(0)).subarray(start, end).reduce((sum, weight) => sum + weight, 0);
  const observer = defineStrategy({
    name: "mass-of-a-place",
    needs: ["mass"],
    decide: ({ heads }) => {
      found.push(heads.map(massOf));
      return heads.map(() => "full");
    },
  });
  const registry = new PolicyRegistry();
  registry.register(observer, "winnow retrieval");
  using session = model.createSession({ policy: observer.name, registry });
  await session.read([{ ids, probe: null }]);
  return found;
}

function sharesOf(positions: readonly (readonly Uint32Array[])[], { start, end }: Place): Shares {
  return positions.map((heads) =>
    heads.map((kept) => kept.filter((position) => position >= start && position < end).length / (end - start)),
  );
}
