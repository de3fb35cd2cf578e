import { WinnowError } from "./errors";
import { f16ToNumber } from "./half";

/**
 * ggml's types of quantised weights: a digit is the bits of an element, `_0` a scale alone, `_1` a scale and an offset for
 * every 32 of them, `_k` blocks of 256 whose scales are themselves quantised.
 */
export const QUANTISED_TYPES = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"] as const;
export type QuantisedType = (typeof QUANTISED_TYPES)[number];

interface QuantisedFormat {
  /** Of an element: eight are a signed byte, fewer an unsigned number. */
  readonly bits: 4 | 5 | 6 | 8;
  /** What an unsigned number is lessened by. */
  readonly zero: number;
  /** Elements that share a scale. */
  readonly group: 16 | 32;
  /**
   * What a group has, and what an element q of it stands for:
   * - `half`: d, f16; d · (q - zero).
   * - `half-pair`: d and m, f16, the first in the lower half of a word; d · q + m.
   * - `byte`: s, signed; its 256 elements have d, f16; d · s · (q - zero).
   * - `byte-pair`: s and t, unsigned, in half a word; its 256 elements have d and m, f16, in a word; d · s · q - m · t.
   */
  readonly scale: "half" | "half-pair" | "byte" | "byte-pair";
}

const FORMATS: Readonly<Record<QuantisedType, QuantisedFormat>> = {
  q8_0: { bits: 8, zero: 0, group: 32, scale: "half" },
  q4_0: { bits: 4, zero: 8, group: 32, scale: "half" },
  q4_1: { bits: 4, zero: 0, group: 32, scale: "half-pair" },
  q5_0: { bits: 5, zero: 16, group: 32, scale: "half" },
  q5_1: { bits: 5, zero: 0, group: 32, scale: "half-pair" },
  q4_k: { bits: 4, zero: 0, group: 32, scale: "byte-pair" },
  q5_k: { bits: 5, zero: 0, group: 32, scale: "byte-pair" },
  q6_k: { bits: 6, zero: 32, group: 16, scale: "byte" },
};

/** Elements that share the halves of a `byte` or `byte-pair` scale. */
export const SUPER_GROUP = 256;

/**
 * How a row of quantised elements lies in words, so that shaders read it aligned and side by side: four parts, of which a
 * format may lack some, each for the whole row.
 *
 * - From 0: of eight bits, word u has elements 4u to 4u + 3, the first in the lowest byte. Of fewer, the lowest four bits:
 *   byte i of word w has element 8w + i below and 8w + 4 + i above.
 * - From `high`: the bits above the lowest four. Of five bits, element 4u + i of 32 is bit 8i + u of their word; of six,
 *   element 4u + i of 16 is the two bits from 8i + 2u of theirs.
 * - From `scales`: what each group has, in order, the first lowest in a word.
 * - From `supers`: what every 256 elements have, likewise.
 *
 * The offsets count words.
 */
export interface QuantisedRow extends QuantisedFormat {
  /** Elements. */
  readonly width: number;
  readonly high: number;
  readonly scales: number;
  readonly supers: number;
  /** Words of the whole row. */
  readonly words: number;
}

export function isQuantised(dtype: string): dtype is QuantisedType {
  return Object.hasOwn(FORMATS, dtype);
}

/**
 * @throws WinnowError `dtype` where elements do not fill whole groups: rows are multiples of 32, of `_k` types of 256.
 * @example quantisedRow("q4_0", 64) // { bits: 4, …, high: 8, scales: 8, supers: 9, words: 9 }
 */
export function quantisedRow(type: QuantisedType, width: number): QuantisedRow {
  const format = FORMATS[type];
  const isNested = format.scale === "byte" || format.scale === "byte-pair";
  const whole = isNested ? SUPER_GROUP : format.group;
  if (width % whole !== 0) {
    throw new WinnowError(
      "dtype",
      `${type} stores rows in groups of ${whole} elements, and ${width} is not a multiple of that; use another type for this weight`,
    );
  }
  const groups = width / format.group;
  const groupBits = { half: 16, "half-pair": 32, byte: 8, "byte-pair": 16 }[format.scale];
  const high = (width * (format.bits === 8 ? 8 : 4)) / 32;
  const scales = format.bits === 8 ? high : high + (width * (format.bits - 4)) / 32;
  const supers = scales + Math.ceil((groups * groupBits) / 32);
  const superBits = { half: 0, "half-pair": 0, byte: 16, "byte-pair": 32 }[format.scale];
  return {
    ...format,
    width,
    high,
    scales,
    supers,
    words: supers + Math.ceil(((width / SUPER_GROUP) * superBits) / 32),
  };
}

/**
 * What a row of words stands for. Every product of scales and an element is exact in f32, and the sum with an offset is
 * rounded once: so each backend finds the same numbers.
 *
 * @param at words before the row.
 * @param to elements of `out` before the row's.
 */
export function dequantiseRow(row: QuantisedRow, words: Uint32Array, at: number, out: Float32Array, to: number): void {
  const { bits, zero, group, scale: kind } = row;
  const units = group / 4;
  for (let g = 0; g < row.width / group; g++) {
    let scale: number;
    let offset = 0;
    if (kind === "half") {
      scale = half(words, at + row.scales, g);
    } else if (kind === "half-pair") {
      scale = half(words, at + row.scales, 2 * g);
      offset = half(words, at + row.scales, 2 * g + 1);
    } else if (kind === "byte") {
      const byte = (words[at + row.scales + (g >> 2)] ?? 0) << (24 - 8 * (g & 3));
      scale = half(words, at + row.supers, Math.floor((g * group) / SUPER_GROUP)) * (byte >> 24);
    } else {
      const pair = (words[at + row.scales + (g >> 1)] ?? 0) >>> (16 * (g & 1));
      const above = 2 * Math.floor((g * group) / SUPER_GROUP);
      scale = half(words, at + row.supers, above) * (pair & 0xff);
      offset = -half(words, at + row.supers, above + 1) * ((pair >>> 8) & 0xff);
    }
    let place = to + g * group;
    for (let unit = g * units; unit < (g + 1) * units; unit++, place += 4) {
      if (bits === 8) {
        const four = words[at + unit] ?? 0;
        out[place] = scale * ((four << 24) >> 24);
        out[place + 1] = scale * ((four << 16) >> 24);
        out[place + 2] = scale * ((four << 8) >> 24);
        out[place + 3] = scale * (four >> 24);
        continue;
      }
      let four = ((words[at + (unit >> 1)] ?? 0) >>> (4 * (unit & 1))) & 0x0f0f0f0f;
      if (bits === 5) {
        four |= (((words[at + row.high + (unit >> 3)] ?? 0) >>> (unit & 7)) & 0x01010101) << 4;
      } else if (bits === 6) {
        four |= (((words[at + row.high + (unit >> 2)] ?? 0) >>> (2 * (unit & 3))) & 0x03030303) << 4;
      }
      out[place] = scale * ((four & 0xff) - zero) + offset;
      out[place + 1] = scale * (((four >>> 8) & 0xff) - zero) + offset;
      out[place + 2] = scale * (((four >>> 16) & 0xff) - zero) + offset;
      out[place + 3] = scale * ((four >>> 24) - zero) + offset;
    }
  }
}

/** The first row with a scale or an offset that is not a finite number; -1 where all are. */
export function firstNonFiniteRow(row: QuantisedRow, words: Uint32Array): number {
  const isNested = row.supers < row.words;
  const [from, to] = isNested ? [row.supers, row.words] : [row.scales, row.supers];
  for (let at = 0; at < words.length; at += row.words) {
    for (let i = from; i < to; i++) {
      const word = words[at + i] ?? 0;
      if ((word & 0x7c00) === 0x7c00 || (word & 0x7c000000) === 0x7c000000) return at / row.words;
    }
  }
  return -1;
}

function half(words: Uint32Array, from: number, i: number): number {
  return f16ToNumber(((words[from + (i >> 1)] ?? 0) >>> (16 * (i & 1))) & 0xffff);
}
