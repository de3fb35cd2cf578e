import type { DeviceTensor } from "../device-tensor";
import { dequantiseRow, isQuantised, quantisedRow } from "../quantised-row";
import { f32Of, u32Of, widthOf } from "./cpu-tensor";

/** Rows of a weight as f32. */
export interface WeightRows {
  /** How many rows to ask for at a time, at most. */
  readonly most: number;
  /** Elements of `from` before row `first`; `from` has that row and the `count - 1` behind it. */
  read(first: number, count: number): { readonly from: Float32Array; readonly start: number };
}

/** Quantised rows that are widened at a time: few enough to stay in the nearer caches while they are used. */
const WIDENED = 24;

/**
 * A weight's rows: the tensor's own memory, or quantised ones widened a few at a time.
 *
 * @param most rows at a time that suit whoever asks.
 */
export function weightRows(weight: DeviceTensor, most: number): WeightRows {
  const width = widthOf(weight);
  if (!isQuantised(weight.dtype)) {
    const from = f32Of(weight);
    return { most, read: (first) => ({ from, start: first * width }) };
  }
  const row = quantisedRow(weight.dtype, width);
  const words = u32Of(weight);
  const widened = new Float32Array(WIDENED * width);
  return {
    most: WIDENED,
    read(first, count) {
      for (let i = 0; i < count; i++) dequantiseRow(row, words, (first + i) * row.words, widened, i * width);
      return { from: widened, start: 0 };
    },
  };
}
