/** Rounding alone makes no weight greater than the mean: the first row's only one is 1, more or less. */
export const PIVOTAL_MARGIN = 1.0001;

/** Whether a weight is greater than the mean of a row at that position, which sees all before it (Scissorhands, arXiv 2305.17118). */
export function isPivotal(weight: number, position: number): boolean {
  return weight * (position + 1) > PIVOTAL_MARGIN;
}
