import { QUANTISED_KV_FORMS, kvRow, type QuantisedKvType } from "./kv-type";

/** The bits of a scale's significand that stay 0: as many as a whole number of a row can have. */
const SCALE_STEP = 2 ** 7;
const LEAST_NORMAL = 2 ** -126;

const bits = new DataView(new ArrayBuffer(4));

/**
 * Rows of a cache in q8 or q4. A row is words of signed whole numbers, four of eight bits or eight of four bits, the first in
 * the lowest bits; then, for each group of elements, a word with the bits of its f32 scale. A group of q8 is the whole row, one
 * of q4 is 32 elements. An element is its whole number times the scale; the scale is the group's max|x|/127 (q8) or max|x|/7
 * (q4), and whole numbers are rounded to the nearest, ties to even.
 *
 * The scale is rounded to 17 significant bits. So the product with a whole number is exact in f32, and quantising what a row
 * gives back gives the same row, on every device. A group whose scale would be no normal number is zeros with the scale 0; one
 * with an element that is not finite has a scale that is not.
 *
 * @param values f32 [rows, headDim]
 * @returns u32 [rows, width of `kvRow`]
 * @throws WinnowError `dtype` for heads that do not allow the type.
 * @example quantiseRows("q8", Float32Array.of(127, -1, 0, 63.6), 4) // [0x4000ff7f, 0x3f800000]
 */
export function quantiseRows(kvType: QuantisedKvType, values: Float32Array, headDim: number): Uint32Array {
  const { width, size, most, group, perWord } = layoutOf(kvType, headDim);
  const rows = values.length / headDim;
  const words = new Uint32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    for (let first = 0; first < headDim; first += group) {
      const of = values.subarray(row * headDim + first, row * headDim + first + group);
      const scale = scaleOf(
        of.reduce((greatest, value) => Math.max(greatest, Math.abs(value)), 0),
        most,
      );
      of.forEach((value, i) => {
        const whole = scale === 0 ? 0 : toNearest(value / scale);
        const element = first + i;
        const at = row * width + Math.floor(element / perWord);
        words[at] = (words[at] ?? 0) | ((whole & (2 ** size - 1)) << (size * (element % perWord)));
      });
      bits.setFloat32(0, scale);
      words[row * width + headDim / perWord + first / group] = bits.getUint32(0);
    }
  }
  return words;
}

/**
 * What rows of a cache in q8 or q4 stand for.
 *
 * @param words u32 [rows, width of `kvRow`], as `quantiseRows` makes them.
 * @returns f32 [rows, headDim]
 * @throws WinnowError `dtype` for heads that do not allow the type.
 */
export function dequantiseRows(kvType: QuantisedKvType, words: Uint32Array, headDim: number): Float32Array {
  const { width, size, group, perWord } = layoutOf(kvType, headDim);
  const rows = words.length / width;
  const values = new Float32Array(rows * headDim);
  for (let row = 0; row < rows; row++) {
    for (let first = 0; first < headDim; first += group) {
      bits.setUint32(0, words[row * width + headDim / perWord + first / group] ?? 0);
      const scale = bits.getFloat32(0);
      for (let element = first; element < first + group; element++) {
        const word = words[row * width + Math.floor(element / perWord)] ?? 0;
        values[row * headDim + element] = ((word << (32 - size - size * (element % perWord))) >> (32 - size)) * scale;
      }
    }
  }
  return values;
}

/** Words of a row, bits of a whole number and the greatest of them, elements that share a scale, elements of a word. */
function layoutOf(kvType: QuantisedKvType, headDim: number) {
  const { bits: size, most, group } = QUANTISED_KV_FORMS[kvType];
  return { width: kvRow(kvType, headDim).width, size, most, group: group ?? headDim, perWord: 32 / size };
}

/** The scale of a group whose greatest magnitude is `greatest`. */
function scaleOf(greatest: number, most: number): number {
  bits.setFloat32(0, greatest * Math.fround(1 / most));
  bits.setUint32(0, (bits.getUint32(0) + SCALE_STEP / 2) & -SCALE_STEP);
  const scale = bits.getFloat32(0);
  return scale < LEAST_NORMAL ? 0 : scale;
}

function toNearest(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}
