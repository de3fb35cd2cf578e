/** Consecutive rows that are read together in one layer. */
export interface ReadingUnit {
  readonly kind: "prompt" | "probe";
  /** First row and their number, counted over the extend: the prompt's rows, then the probe's. */
  readonly start: number;
  readonly count: number;
}
