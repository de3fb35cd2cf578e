import type { CandidatePrice } from "./price";

/**
 * The first candidate whose recovery reaches the threshold; the last, which keeps most, where none does (FastGen,
 * algorithm 1; a head that no policy fits keeps its full cache).
 *
 * @param threshold T in (0, 1]; null takes the first candidate.
 * @param atLeast no candidate before this one: a head that is profiled again may only move to a policy that keeps more.
 * @returns the candidate's place.
 */
export function choose(prices: readonly CandidatePrice[], threshold: number | null, atLeast = 0): number {
  for (let candidate = atLeast; candidate < prices.length; candidate++) {
    const recovery = prices[candidate]?.recovery ?? null;
    if (threshold === null || (recovery !== null && recovery >= threshold)) return candidate;
  }
  return Math.max(0, prices.length - 1);
}
