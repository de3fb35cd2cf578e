import { column } from "@winnow/core-tensor";

import { definePolicy, defineStatistic } from "../plugin";
import type { HeadView } from "../head-view";
import { newest } from "./observation-window";
import { full, limit, minus, recent, union } from "../policy";

/** What attention counts for, against redundancy (arXiv 2505.24133, section 3.3: λ). */
const LAMBDA = 0.1;
/** The newest tokens, which are always kept (its code's window). */
const RECENT = 8;

/**
 * λ · importance − (1 − λ) · redundancy (R-KV, arXiv 2505.24133, section 3): the weight of the newest row as a share of all,
 * against a softmax over the mean cosine between a slot's key and the other keys of its head. The paper averages the weights of
 * eight rows; a cache that keeps sums has those of the newest one apart.
 */
export const unlikeness = defineStatistic({
  name: "unlikeness",
  description: "weight from the newest row against likeness to other keys (R-KV, arXiv 2505.24133)",
  needs: ["lastMass", "keys"],
  compute: (head) => {
    const mass = head.columns.lastMass?.subarray(0, head.count) ?? new Float32Array(head.count);
    const total = mass.reduce((sum, weight) => sum + weight, 0);
    return redundancyOf(head).map((redundancy, slot) => {
      const importance = total === 0 ? 0 : (mass[slot] ?? 0) / total;
      return LAMBDA * importance - (1 - LAMBDA) * redundancy;
    });
  },
});

/** Tokens that say again what others say are dropped first, also while generating (R-KV, arXiv 2505.24133). */
export const rKv = definePolicy({
  name: "r-kv",
  source: "R-KV, arXiv 2505.24133, section 3",
  budget: 0.5,
  candidates: (x) => {
    const window = recent(RECENT);
    return [union(newest(RECENT, x), limit(minus(full(), window), x, column(unlikeness.name)))];
  },
});

/** Softmax over the mean cosine with all other keys. The mean of cosines is a product with the sum of unit keys. */
function redundancyOf({ count, keys }: HeadView): Float32Array {
  if (keys === undefined || count === 0) return new Float32Array(count);
  const headDim = keys.length / count;
  const units = Float64Array.from(keys);
  const sum = new Float64Array(headDim);
  for (let slot = 0; slot < count; slot++) {
    const key = units.subarray(slot * headDim, (slot + 1) * headDim);
    const length = Math.sqrt(key.reduce((total, value) => total + value * value, 0));
    key.forEach((value, d) => {
      key[d] = length === 0 ? 0 : value / length;
      sum[d] = (sum[d] ?? 0) + (key[d] ?? 0);
    });
  }
  const likeness = Float64Array.from({ length: count }, (_, slot) => {
    const key = units.subarray(slot * headDim, (slot + 1) * headDim);
    // Its own cosine is no likeness to another.
    const own = key.reduce((total, value) => total + value * value, 0);
    return (key.reduce((total, value, d) => total + value * (sum[d] ?? 0), 0) - own) / count;
  });
  const greatest = likeness.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = likeness.map((value) => Math.exp(value - greatest));
  const all = weights.reduce((a, b) => a + b, 0);
  return Float32Array.from(weights, (weight) => weight / all);
}
