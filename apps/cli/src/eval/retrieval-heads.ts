import type { HeadPlan, ModelFingerprint } from "@winnow/profiler";

import type { Shares } from "./shares";

/** A KV head of a layer. */
export interface Head {
  readonly layer: number;
  readonly head: number;
}

/** All heads, those that look up most first. */
export function byRetrieval(scores: Shares): readonly Head[] {
  const score = ({ layer, head }: Head): number => scores[layer]?.[head] ?? 0;
  return scores
    .flatMap((heads, layer) => heads.map((_, head) => ({ layer, head })))
    .sort((a, b) => score(b) - score(a));
}

/** The mean of some heads' shares. */
export function meanOver(shares: Shares, heads: readonly Head[]): number {
  return heads.reduce((sum, { layer, head }) => sum + (shares[layer]?.[head] ?? 0), 0) / Math.max(1, heads.length);
}

/**
 * A plan that leaves some heads whole and cuts the others alike, as DuoAttention does (arXiv 2410.10819).
 *
 * @param others text of the policy of all other heads.
 */
export function planAround(
  model: ModelFingerprint,
  scores: Shares,
  whole: readonly Head[],
  others: string,
): Omit<HeadPlan, "format" | "version"> {
  const isWhole = (layer: number, head: number): boolean =>
    whole.some((one) => one.layer === layer && one.head === head);
  return {
    model,
    policy: `retrieval(${whole.length}, ${others})`,
    recovery: null,
    rows: "prompt",
    generated: "keep",
    heads: scores.map((heads, layer) => heads.map((_, head) => (isWhole(layer, head) ? "full" : others))),
  };
}
