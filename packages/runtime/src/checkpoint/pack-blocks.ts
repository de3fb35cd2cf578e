import { quantisedRow, type QuantisedRow, type QuantisedType } from "@winnow/core-tensor";

/** Packs a row of blocks: from halves of words `from` on, into words `to` on. */
export type RowPacker = (blocks: Uint16Array, from: number, words: Uint32Array, to: number) => void;

/** Where a row's parts go, and the same words as halves, which is how scales lie in blocks. */
interface Target {
  readonly row: QuantisedRow;
  readonly words: Uint32Array;
  readonly halves: Uint16Array;
  /** Words before the row. */
  readonly at: number;
}

/** Packs the block that begins at a half, the row's `b`th. */
type BlockPacker = (blocks: Uint16Array, from: number, b: number, target: Target) => void;

interface BlockLayout {
  readonly elements: number;
  readonly halves: number;
  readonly pack: BlockPacker;
}

const LOW = 0x0f0f0f0f;
const BIT = 0x01010101;
const TWO_BITS = 0x03030303;
const SIX_BITS = 0x3f3f3f3f;

/**
 * ggml's blocks (ggml-common.h) to rows of words. In blocks of 32 a byte has elements i and i + 16, in blocks of 256 elements i and
 * i + 32 or i + 64; in words neighbours are four apart (`quantisedRow`).
 */
const LAYOUTS: Readonly<Record<QuantisedType, BlockLayout>> = {
  q8_0: {
    elements: 32,
    halves: 17,
    pack(blocks, from, b, { row, words, halves, at }) {
      halves[2 * (at + row.scales) + b] = blocks[from] ?? 0;
      for (let u = 0; u < 8; u++) words[at + 8 * b + u] = word(blocks, from + 1 + 2 * u);
    },
  },
  q4_0: {
    elements: 32,
    halves: 9,
    pack(blocks, from, b, target) {
      target.halves[2 * (target.at + target.row.scales) + b] = blocks[from] ?? 0;
      nibblesOf32(blocks, from + 1, b, target);
    },
  },
  q4_1: {
    elements: 32,
    halves: 10,
    pack(blocks, from, b, target) {
      target.words[target.at + target.row.scales + b] = word(blocks, from);
      nibblesOf32(blocks, from + 2, b, target);
    },
  },
  q5_0: {
    elements: 32,
    halves: 11,
    pack(blocks, from, b, target) {
      target.halves[2 * (target.at + target.row.scales) + b] = blocks[from] ?? 0;
      target.words[target.at + target.row.high + b] = fifthBitsOf32(word(blocks, from + 1));
      nibblesOf32(blocks, from + 3, b, target);
    },
  },
  q5_1: {
    elements: 32,
    halves: 12,
    pack(blocks, from, b, target) {
      target.words[target.at + target.row.scales + b] = word(blocks, from);
      target.words[target.at + target.row.high + b] = fifthBitsOf32(word(blocks, from + 2));
      nibblesOf32(blocks, from + 4, b, target);
    },
  },
  q4_k: {
    elements: 256,
    halves: 72,
    pack(blocks, from, b, target) {
      scalesOfK(blocks, from, b, target);
      nibblesOfK(blocks, from + 8, b, target);
    },
  },
  q5_k: {
    elements: 256,
    halves: 88,
    pack(blocks, from, b, target) {
      const { row, words, at } = target;
      scalesOfK(blocks, from, b, target);
      for (let part = 0; part < 8; part++) {
        let bits = 0;
        for (let k = 0; k < 8; k++) bits |= ((word(blocks, from + 8 + 2 * k) >>> part) & BIT) << k;
        words[at + row.high + 8 * b + part] = bits;
      }
      nibblesOfK(blocks, from + 24, b, target);
    },
  },
  q6_k: {
    elements: 256,
    halves: 105,
    pack(blocks, from, b, { row, words, halves, at }) {
      halves[2 * (at + row.supers) + b] = blocks[from + 104] ?? 0;
      for (let u = 0; u < 4; u++) words[at + row.scales + 4 * b + u] = word(blocks, from + 96 + 2 * u);
      for (let part = 0; part < 8; part++) {
        // Two runs of 128 elements, each of four parts that share the bytes of their bits.
        const [run, quarter] = [part >> 2, part & 3];
        const low = from + 32 * run + 16 * (quarter & 1);
        for (let w = 0; w < 4; w++) {
          const [a, c] = [word(blocks, low + 4 * w), word(blocks, low + 4 * w + 2)];
          words[at + 32 * b + 4 * part + w] = quarter < 2 ? lowNibbles(a, c) : highNibbles(a, c);
        }
        for (let half = 0; half < 2; half++) {
          let bits = 0;
          for (let k = 0; k < 4; k++) {
            const four = word(blocks, from + 64 + 16 * run + 8 * half + 2 * k);
            bits |= ((four >>> (2 * quarter)) & TWO_BITS) << (2 * k);
          }
          words[at + row.high + 16 * b + 2 * part + half] = bits;
        }
      }
    },
  },
};

/**
 * What turns the blocks of a row, as a GGUF file has them, into the words of a row (`quantisedRow`).
 *
 * @throws WinnowError `dtype` where `width` elements do not fill whole blocks.
 */
export function rowPacker(type: QuantisedType, width: number): RowPacker {
  const row = quantisedRow(type, width);
  const { elements, halves, pack } = LAYOUTS[type];
  return (blocks, from, words, to) => {
    const target = { row, words, halves: new Uint16Array(words.buffer, words.byteOffset, 2 * words.length), at: to };
    for (let b = 0; b < width / elements; b++) pack(blocks, from + b * halves, b, target);
  };
}

function word(blocks: Uint16Array, from: number): number {
  return (blocks[from] ?? 0) | ((blocks[from + 1] ?? 0) << 16);
}

/** The lower halves of four bytes, and of four more above them. */
function lowNibbles(a: number, b: number): number {
  return (a & LOW) | ((b & LOW) << 4);
}

function highNibbles(a: number, b: number): number {
  return ((a >>> 4) & LOW) | (b & ~LOW);
}

function nibblesOf32(blocks: Uint16Array, from: number, b: number, { words, at }: Target): void {
  const [q0, q1, q2, q3] = [word(blocks, from), word(blocks, from + 2), word(blocks, from + 4), word(blocks, from + 6)];
  const to = at + 4 * b;
  words[to] = lowNibbles(q0, q1);
  words[to + 1] = lowNibbles(q2, q3);
  words[to + 2] = highNibbles(q0, q1);
  words[to + 3] = highNibbles(q2, q3);
}

/** Parts of 32 elements, two by two in the same bytes. */
function nibblesOfK(blocks: Uint16Array, from: number, b: number, { words, at }: Target): void {
  for (let pair = 0; pair < 4; pair++) {
    const to = at + 32 * b + 8 * pair;
    for (let w = 0; w < 4; w++) {
      const a = word(blocks, from + 16 * pair + 4 * w);
      const c = word(blocks, from + 16 * pair + 4 * w + 2);
      words[to + w] = lowNibbles(a, c);
      words[to + 4 + w] = highNibbles(a, c);
    }
  }
}

/** Bit i is element i's; each four of them go to the four bytes of a word, one bit further up than the four before. */
function fifthBitsOf32(bits: number): number {
  let result = 0;
  for (let u = 0; u < 8; u++) result |= ((((bits >>> (4 * u)) & 15) * 0x00204081) & BIT) << u;
  return result;
}

/** Twelve bytes hold eight scales and eight offsets of six bits (ggml-quants.c, `get_scale_min_k4`): to bytes, in pairs. */
function scalesOfK(blocks: Uint16Array, from: number, b: number, { row, words, at }: Target): void {
  words[at + row.supers + b] = word(blocks, from);
  const [s, m, mixed] = [word(blocks, from + 2), word(blocks, from + 4), word(blocks, from + 6)];
  const to = at + row.scales + 4 * b;
  pairs(s & SIX_BITS, m & SIX_BITS, words, to);
  pairs((mixed & LOW) | ((s >>> 2) & 0x30303030), ((mixed >>> 4) & LOW) | ((m >>> 2) & 0x30303030), words, to + 2);
}

/** Byte by byte, one of the first and one of the second. */
function pairs(a: number, b: number, words: Uint32Array, to: number): void {
  words[to] = (a & 0xff) | ((b & 0xff) << 8) | ((a & 0xff00) << 8) | ((b & 0xff00) << 16);
  words[to + 1] = ((a >>> 16) & 0xff) | ((b >>> 8) & 0xff00) | ((a >>> 8) & 0xff0000) | (b & 0xff000000);
}
