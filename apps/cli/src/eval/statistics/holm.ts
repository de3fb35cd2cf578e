/**
 * P-values that hold for all of a table's comparisons together (Holm, Scand. J. Stat. 6, 1979): the k-th least is multiplied
 * by the number of those not less than it, and none becomes less than one before it.
 *
 * @returns corrected values, in the order given.
 */
export function holm(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const corrected = [...values];
  let least = 0;
  order.forEach((i, k) => {
    least = Math.max(least, Math.min(1, (values[i] ?? 0) * (values.length - k)));
    corrected[i] = least;
  });
  return corrected;
}
