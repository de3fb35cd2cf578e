import { randomWord } from "@winnow/core-tensor";

import { meanOf } from "./mean";
import type { Interval } from "./wilson";

/** How two ways differ on the same examples. */
export interface PairedDifference extends Interval {
  /** Of the differences a − b. */
  readonly mean: number;
  /** Two-sided: how likely so great a difference would be if the two were alike. */
  readonly p: number;
}

const RESAMPLES = 2000;
const FLIPS = 20_000;
const SEED = 20_231_001;

/**
 * The mean difference of paired scores, its 95 % interval by the percentile bootstrap (Efron and Tibshirani, 1993, section 13.3)
 * and its p-value: McNemar's exact test where all differences are −1, 0 or 1, else the sign-flip test. Neither asks how scores
 * are distributed, and both are seeded.
 *
 * @param a scores by example.
 * @param b of the same examples, in the same order.
 */
export function pairedDifference(a: readonly number[], b: readonly number[]): PairedDifference {
  const differences = a.map((score, i) => score - (b[i] ?? NaN));
  const mean = meanOf(differences);
  const means = new Float64Array(RESAMPLES).map((_, resample) => {
    let sum = 0;
    for (let i = 0; i < differences.length; i++) {
      sum += differences[Math.floor((randomWord(SEED, resample, i) / 2 ** 32) * differences.length)] ?? 0;
    }
    return differences.length === 0 ? 0 : sum / differences.length;
  });
  means.sort();
  const isBinary = differences.every((difference) => Number.isInteger(difference));
  return {
    mean,
    low: means[Math.floor(0.025 * (RESAMPLES - 1))] ?? mean,
    high: means[Math.ceil(0.975 * (RESAMPLES - 1))] ?? mean,
    p: isBinary ? mcNemar(differences) : signFlip(differences),
  };
}

/** Of n examples that only one way gets right, whether k or fewer are one way's: a fair coin's tail, twice. */
function mcNemar(differences: readonly number[]): number {
  const better = differences.filter((difference) => difference > 0).length;
  const worse = differences.filter((difference) => difference < 0).length;
  const n = better + worse;
  let logChoose = 0;
  let tail = 0;
  for (let k = 0; k <= Math.min(better, worse); k++) {
    tail += Math.exp(logChoose - n * Math.LN2);
    logChoose += Math.log(n - k) - Math.log(k + 1);
  }
  return Math.min(1, 2 * tail);
}

/** How often signs drawn at random give as great a sum. */
function signFlip(differences: readonly number[]): number {
  const found = Math.abs(differences.reduce((sum, difference) => sum + difference, 0));
  let asGreat = 0;
  for (let flip = 0; flip < FLIPS; flip++) {
    let sum = 0;
    let bits = 0;
    differences.forEach((difference, i) => {
      if (i % 32 === 0) bits = randomWord(SEED + 1, flip, i / 32);
      sum += (bits & 1) === 0 ? difference : -difference;
      bits >>>= 1;
    });
    if (Math.abs(sum) >= found - 1e-12) asGreat++;
  }
  return (asGreat + 1) / (FLIPS + 1);
}
