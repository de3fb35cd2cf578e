/** How far a result may be from another's, as a share of the greatest: sums in another order, or of what was rounded to eight bits. */
const TOLERANCE = { exact: 2 ** -9, rounding: 2 ** -4 };

/**
 * Whether two kernels compute the same.
 *
 * @param expected results of the kernel that runs where nothing was measured.
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
