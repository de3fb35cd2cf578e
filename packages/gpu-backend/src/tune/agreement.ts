/** How far a result may be from another's, as a share of the greatest: sums in another order, or of what was rounded to eight bits. */
const TOLERANCE = { exact: 2 ** -9, rounding: 2 ** -4 };

/**
 * Whether two kernels compute the same.
 *
 * @param expected results of a kernel that computes in floats: finite numbers.
 * @param rounds whether the other rounds its operands.
 */
export function agrees(expected: readonly Float32Array[], found: readonly Float32Array[], rounds: boolean): boolean {
  const tolerance = rounds ? TOLERANCE.rounding : TOLERANCE.exact;
  return expected.every((wanted, i) => {
    const greatest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    // What is no number is not within any bound.
    return wanted.every((value, at) => Math.abs(value - (found[i]?.[at] ?? NaN)) <= tolerance * greatest);
  });
}

/** Whether all results are numbers. */
export function areFinite(results: readonly Float32Array[]): boolean {
  return results.every((result) => result.every(Number.isFinite));
}
