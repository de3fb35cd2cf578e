/** Consecutive rows that are read together in one layer. */
export interface ReadingUnit {
  readonly kind: "prompt" | "probe";
  /** First row and their number, counted over the extend: the prompt's rows, then the probe's. */
  readonly start: number;
  readonly count: number;
  /** Scratch row of the first. The rows before it are what the unit sees. */
  readonly at: number;
}
