import { definePolicy, defineStatistic } from "../plugin";
import { column } from "@winnow/core-tensor";
import type { HeadView, QueryMoments } from "../head-view";
import { full, limit, minus, sink, union } from "../policy";

/** Positions behind the newest row that queries are expected at (its code's settings). */
const FUTURE = 512;
/** First positions, whose keys are unlike all others: always kept. */
const SINKS = 4;

/**
 * The weight that queries to come can be expected to give, times the value's length: queries are taken for Gaussian, with
 * the moments of the prompt's own, rotated by the mean rotation of the next 512 positions (Expected Attention,
 * arXiv 2510.00636, section 3: E[exp(q·k)] = exp(μ·k + ½ kᵀΣk)).
 */
export const expectedMass = defineStatistic({
  name: "expectedMass",
  description: "weight that later queries can be expected to give (arXiv 2510.00636)",
  needs: ["keys", "values", "queries"],
  compute: (head) => {
    const { count, queries, keys, values } = head;
    if (queries === undefined || keys === undefined || values === undefined) return new Float32Array(count);
    const { heads, headDim } = queries;
    const rotation = meanRotation(queries, head.now + 1);
    const weights = new Float64Array(count);
    for (let q = 0; q < heads; q++) {
      const logits = expectedLogits(head, queries, rotation, q);
      softmax(logits).forEach((weight, slot) => {
        weights[slot] = (weights[slot] ?? 0) + weight / heads;
      });
    }
    return Float32Array.from(weights, (weight, slot) =>
      isSink(head, slot) ? 0 : weight * lengthOf(values.subarray(slot * headDim, (slot + 1) * headDim)),
    );
  },
});

/**
 * What later queries are expected to attend to, and the first four tokens (Expected Attention, arXiv 2510.00636). It cuts
 * prompts; what is generated is kept.
 */
export const expectedAttention = definePolicy({
  name: "expected-attention",
  source: "Expected Attention, arXiv 2510.00636, section 3",
  budget: 0.5,
  generated: "keep",
  candidates: (x) => {
    return [union(sink(SINKS), limit(minus(full(), sink(SINKS)), x, column(expectedMass.name)))];
  },
});

function isSink({ position }: HeadView, slot: number): boolean {
  return (position[slot] ?? 0) < SINKS;
}

/** The mean of the cosines and sines of the next positions: what is left of a vector that is rotated by all of them. */
function meanRotation({ headDim, rotation }: QueryMoments, first: number): Float64Array {
  const mean = new Float64Array(headDim);
  for (let i = 0; i < FUTURE; i++) {
    rotation(first + i).forEach((value, d) => {
      mean[d] = (mean[d] ?? 0) + value / FUTURE;
    });
  }
  return mean;
}

/** μ·k·s + ½ s² kᵀΣk of each slot, with R μ for μ and R Σ Rᵀ for Σ: Rᵀ k takes the key's place. */
function expectedLogits(
  { count, keys = new Float32Array(0), position }: HeadView,
  { headDim, scale, mean, covariance }: QueryMoments,
  rotation: Float64Array,
  q: number,
): Float64Array {
  const logits = new Float64Array(count);
  for (let slot = 0; slot < count; slot++) {
    if ((position[slot] ?? 0) < SINKS) {
      logits[slot] = -Infinity;
      continue;
    }
    const key = rotateBack(keys.subarray(slot * headDim, (slot + 1) * headDim), rotation);
    let first = 0;
    let second = 0;
    for (let i = 0; i < headDim; i++) {
      first += (mean[q * headDim + i] ?? 0) * (key[i] ?? 0);
      let row = 0;
      for (let j = 0; j < headDim; j++) row += (covariance[(q * headDim + i) * headDim + j] ?? 0) * (key[j] ?? 0);
      second += (key[i] ?? 0) * row;
    }
    logits[slot] = scale * first + (scale * scale * second) / 2;
  }
  return logits;
}

/** Rᵀ x, where R turns element i with element i + headDim / 2. */
function rotateBack(x: Float32Array, rotation: Float64Array): Float64Array {
  const half = x.length / 2;
  const back = new Float64Array(x.length);
  for (let i = 0; i < half; i++) {
    const [cosine = 0, sine = 0] = [rotation[i], rotation[half + i]];
    const [low = 0, high = 0] = [x[i], x[half + i]];
    back[i] = cosine * low + sine * high;
    back[half + i] = cosine * high - sine * low;
  }
  return back;
}

function softmax(logits: Float64Array): Float64Array {
  const greatest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  if (greatest === -Infinity) return new Float64Array(logits.length);
  const weights = logits.map((logit) => Math.exp(logit - greatest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

function lengthOf(x: Float32Array): number {
  return Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
}
