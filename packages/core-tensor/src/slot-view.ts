/**
 * The slots of one KV head as the host sees them: what a policy decides over, before or after a backend has
 * put them into memory.
 */
export interface SlotView {
  /** layer · kvHeads + head: tells the heads of a model apart, and seeds `random`. */
  readonly row: number;
  /** Slots; the arrays may be longer. */
  readonly count: number;
  /** Position of the newest row. */
  readonly now: number;
  /** True position of each slot's token, ascending. */
  readonly position: Uint32Array;
  /** Class bits of each slot's token: see `TokenClass` in `@winnow/kv-policies`. */
  readonly flags: Uint32Array;
  /** Stored statistics by name: `mass`, `maxWeight`, … */
  readonly columns: Readonly<Record<string, Float32Array>>;
}
