import { kvRow } from "./kv-type";

/** The greatest whole number of a row. */
const MOST = 127;
/** The bits of a scale's significand that stay 0: as many as a whole number of a row can have. */
const SCALE_STEP = 2 ** 7;
const LEAST_NORMAL = 2 ** -126;

const bits = new DataView(new ArrayBuffer(4));

/**
 * Rows of a cache in q8. A row is headDim/4 words of four signed bytes, the first in the lowest bits, then a word with the
 * bits of an f32 scale. An element is its byte times the scale; the scale is max|x|/127, and bytes are rounded to the
 * nearest, ties to even.
 *
 * The scale is rounded to 17 significant bits. So the product with a byte is exact in f32, and quantising what a row gives
 * back gives the same row, on every device. A row whose scale would be no normal number is zeros with the scale 0; one
 * with an element that is not finite has a scale that is not.
 *
 * @param values f32 [rows, headDim]
 * @returns u32 [rows, headDim/4 + 1]
 * @throws WinnowError `dtype` where headDim is no multiple of four.
 * @example quantiseRows(Float32Array.of(127, -1, 0, 63.6), 4) // [0x4000ff7f, 0x3f800000]
 */
export function quantiseRows(values: Float32Array, headDim: number): Uint32Array {
  const { width } = kvRow("q8", headDim);
  const rows = values.length / headDim;
  const words = new Uint32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const of = values.subarray(row * headDim, (row + 1) * headDim);
    const scale = scaleOf(of.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
    of.forEach((value, i) => {
      const whole = scale === 0 ? 0 : toNearest(value / scale);
      const at = row * width + (i >> 2);
      words[at] = (words[at] ?? 0) | ((whole & 0xff) << (8 * (i & 3)));
    });
    bits.setFloat32(0, scale);
    words[(row + 1) * width - 1] = bits.getUint32(0);
  }
  return words;
}

/**
 * What rows of a cache in q8 stand for.
 *
 * @param words u32 [rows, headDim/4 + 1], as `quantiseRows` makes them.
 * @returns f32 [rows, headDim]
 * @throws WinnowError `dtype` where headDim is no multiple of four.
 */
export function dequantiseRows(words: Uint32Array, headDim: number): Float32Array {
  const { width } = kvRow("q8", headDim);
  const rows = words.length / width;
  const values = new Float32Array(rows * headDim);
  for (let row = 0; row < rows; row++) {
    bits.setUint32(0, words[(row + 1) * width - 1] ?? 0);
    const scale = bits.getFloat32(0);
    for (let i = 0; i < headDim; i++) {
      const word = words[row * width + (i >> 2)] ?? 0;
      values[row * headDim + i] = ((word << (24 - 8 * (i & 3))) >> 24) * scale;
    }
  }
  return values;
}

/** The scale of a row whose greatest magnitude is `most`. */
function scaleOf(most: number): number {
  bits.setFloat32(0, most * Math.fround(1 / MOST));
  bits.setUint32(0, (bits.getUint32(0) + SCALE_STEP / 2) & -SCALE_STEP);
  const scale = bits.getFloat32(0);
  return scale < LEAST_NORMAL ? 0 : scale;
}

function toNearest(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}
