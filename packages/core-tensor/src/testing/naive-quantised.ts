import { randomWord } from "../expr";
import { f16ToNumber, numberToF16 } from "../half";
import { quantisedRow, type QuantisedType } from "../quantised-row";

/** Rows of random elements, whose numbers are of about the size of one. */
export function randomRows(type: QuantisedType, rows: number, width: number, seed: number): Uint32Array {
  const row = quantisedRow(type, width);
  const words = Uint32Array.from({ length: rows * row.words }, (_, i) => randomWord(seed, i >>> 16, i & 0xffff));
  const most = 2 ** (row.bits - 1) * (row.supers < row.words ? 128 : 1);
  const half = (random: number): number => numberToF16((0.5 + (random & 0xffff) / 2 ** 17) / most);
  const [from, to] = row.supers < row.words ? [row.supers, row.words] : [row.scales, row.supers];
  words.forEach((word, i) => {
    const at = i % row.words;
    if (at >= from && at < to) words[i] = half(word) | (half(word >>> 16) << 16);
  });
  return words;
}

/** What rows stand for, element by element, by the description of their parts and nothing else. */
export function naiveRows(type: QuantisedType, words: Uint32Array, width: number): number[] {
  const row = quantisedRow(type, width);
  const values: number[] = [];
  for (let at = 0; at < words.length; at += row.words) {
    const word = (i: number): number => words[at + i] ?? NaN;
    const byte = (from: number, i: number): number => (word(from + Math.floor(i / 4)) >>> (8 * (i % 4))) & 0xff;
    const half = (from: number, i: number): number => f16ToNumber(byte(from, 2 * i) + 256 * byte(from, 2 * i + 1));
    for (let e = 0; e < width; e++) {
      const [g, block] = [Math.floor(e / row.group), Math.floor(e / 256)];
      const q = numberOf(row.bits, row.high, byte, e) - row.zero;
      const signed = (number: number): number => (number > 127 ? number - 256 : number);
      switch (row.scale) {
        case "half":
          values.push(half(row.scales, g) * q);
          break;
        case "half-pair":
          values.push(half(row.scales, 2 * g) * q + half(row.scales, 2 * g + 1));
          break;
        case "byte":
          values.push(half(row.supers, block) * signed(byte(row.scales, g)) * q);
          break;
        case "byte-pair":
          values.push(
            half(row.supers, 2 * block) * byte(row.scales, 2 * g) * q -
              half(row.supers, 2 * block + 1) * byte(row.scales, 2 * g + 1),
          );
      }
    }
  }
  return values;
}

function numberOf(bits: number, high: number, byte: (from: number, i: number) => number, e: number): number {
  if (bits === 8) {
    const found = byte(0, e);
    return found > 127 ? found - 256 : found;
  }
  const of8 = byte(0, 4 * Math.floor(e / 8) + (e % 4));
  const low = e % 8 < 4 ? of8 % 16 : of8 >> 4;
  const [i, unit] = [e % 4, Math.floor(e / 4)];
  if (bits === 5) return low + 16 * ((byte(high, 4 * Math.floor(e / 32) + i) >> (unit % 8)) & 1);
  if (bits === 6) return low + 16 * ((byte(high, 4 * Math.floor(e / 16) + i) >> (2 * (unit % 4))) & 3);
  return low;
}

/**
 * Numbers rounded to eight bits, 32 of them at a time with one scale: what llama.cpp (`quantize_row_q8_0`) makes of a vector
 * before it multiplies it with quantised weights, but for the scale, which stays an f32.
 */
export function naiveRounded(values: Float32Array): Float32Array {
  const SHARE = 32;
  return values.map((value, i) => {
    const first = i - (i % SHARE);
    const greatest = Math.max(...values.subarray(first, first + SHARE).map(Math.abs));
    const scale = Math.fround(greatest / 127);
    // Of what is below the normal numbers nothing is left.
    if (scale < 2 ** -126) return 0;
    const steps = Math.fround(value * Math.fround(1 / scale));
    const floor = Math.floor(steps);
    const up = steps - floor > 0.5 || (steps - floor === 0.5 && floor % 2 !== 0);
    return scale * (up ? floor + 1 : floor);
  });
}
