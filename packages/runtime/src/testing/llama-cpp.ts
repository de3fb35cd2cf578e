import { getLlama, LlamaLogLevel, type Llama, type LlamaModel, type Token } from "node-llama-cpp";
import { expect } from "vitest";

import type { Model } from "../model";
import { rowLogits } from "./row-logits";

let llama: Promise<Llama> | undefined;

/** A GGUF file in llama.cpp, on the CPU. */
export async function openLlamaCpp(path: string, options: { readonly vocabOnly?: boolean } = {}): Promise<LlamaModel> {
  llama ??= getLlama({ gpu: false, build: "never", skipDownload: true, logLevel: LlamaLogLevel.disabled });
  return (await llama).loadModel({ modelPath: path, ...options });
}

/** Natural logarithms of what llama.cpp gives every token of the vocabulary behind each of these, one map a position. */
export async function logProbabilities(
  model: LlamaModel,
  ids: readonly number[],
  // With no room left it shifts what it has read.
  contextSize = ids.length + 64,
): Promise<ReadonlyMap<number, number>[]> {
  await using context = await model.createContext({ contextSize });
  const sequence = context.getSequence();
  const tokens = [...model.iterateAllTokens()];
  const asked = ids.map((id) => [tokenOf(tokens, id), { generateNext: { probabilities: true } }] as const);
  const outputs = await sequence.controlledEvaluate(asked.map(([token, options]) => [token, options]));
  return outputs.map((output) => {
    const { probabilities } = output?.next ?? {};
    if (probabilities === undefined) throw new Error("llama.cpp told no probabilities");
    return new Map([...probabilities].map(([token, probability]) => [Number(token), Math.log(probability)]));
  });
}

/** Its tokens are numbers of a type of their own. */
function tokenOf(tokens: readonly Token[], id: number): Token {
  const token = tokens[id];
  if (token === undefined) throw new Error(`llama.cpp has no token ${id}`);
  return token;
}

/**
 * Both read the same tokens; after each, what either thinks comes next is compared: of the tokens that llama.cpp thinks most
 * likely the log-probabilities, and the first of them wherever it is further ahead than the tolerance.
 *
 * @param tolerance of logits, as a share of the largest: llama.cpp rounds activations to eight bits.
 */
export async function expectSameLogits(
  model: Model,
  expected: readonly ReadonlyMap<number, number>[],
  ids: readonly number[],
  tolerance = 0.02,
): Promise<void> {
  const found = await rowLogits(model, ids);
  expect(found).toHaveLength(expected.length);
  for (const [position, theirs] of expected.entries()) {
    const logits = found[position] ?? new Float32Array(0);
    const normaliser = logSumExp(logits);
    const most = tolerance * largestLogit([...theirs.values()]);
    const ranked = [...theirs].sort(([, a], [, b]) => b - a);
    const [first, second] = ranked;
    const gap = (first?.[1] ?? NaN) - (second?.[1] ?? NaN);
    if (gap > 2 * most)
      expect(logits.indexOf(Math.max(...logits)), `the choice at position ${position}`).toBe(first?.[0]);
    for (const [token, logProbability] of ranked.slice(0, COMPARED)) {
      const difference = Math.abs((logits[token] ?? NaN) - normaliser - logProbability);
      expect(difference, `token ${token} at position ${position}`).toBeLessThan(most);
    }
  }
}

/** The share of positions at which both think the same token comes next. */
export async function sameChoices(
  model: Model,
  expected: readonly ReadonlyMap<number, number>[],
  ids: readonly number[],
): Promise<number> {
  const found = await rowLogits(model, ids);
  const same = expected.filter((theirs, position) => {
    const logits = found[position] ?? new Float32Array(0);
    const best = [...theirs].reduce((a, b) => (b[1] > a[1] ? b : a));
    return logits.indexOf(Math.max(...logits)) === best[0];
  });
  return same.length / expected.length;
}

const COMPARED = 20;

function logSumExp(logits: Float32Array): number {
  const most = Math.max(...logits);
  return most + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
}

/** Of logits that are known but for what is added to all of them: their mean is taken for 0. */
function largestLogit(logProbabilities: readonly number[]): number {
  const mean = logProbabilities.reduce((sum, value) => sum + value, 0) / logProbabilities.length;
  return Math.max(...logProbabilities.map((value) => Math.abs(value - mean)));
}
