export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Of the standard normal distribution, for 95 % on both sides. */
const Z = 1.959963984540054;

/**
 * Wilson's score interval for a share at 95 % (J. Am. Stat. Assoc. 22, 1927): right for shares near 0 and 1 too.
 *
 * @param mean of `count` scores in [0, 1]. For scores between 0 and 1 it is wider than need be, since they vary less.
 */
export function wilson(mean: number, count: number): Interval {
  if (count === 0) return { low: 0, high: 1 };
  const z2 = (Z * Z) / count;
  const middle = (mean + z2 / 2) / (1 + z2);
  const reach = (Z * Math.sqrt((mean * (1 - mean)) / count + z2 / (4 * count))) / (1 + z2);
  return { low: Math.max(0, middle - reach), high: Math.min(1, middle + reach) };
}
