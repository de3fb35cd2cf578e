import { numberToF16, f16ToNumber, type QuantisedType } from "@winnow/core-tensor";

/** Writes the block of elements that begin at `from` into bytes from `to` on. */
type Quantiser = (elements: Float32Array, from: number, bytes: Uint8Array, to: number) => void;

interface BlockFormat {
  readonly elements: number;
  readonly bytes: number;
  readonly quantise: Quantiser;
}

/**
 * Elements as ggml's blocks (ggml-common.h), by type. Those of 32 elements have the scale that reaches from the element
 * furthest from 0, or from the least to the greatest; those of 256 have scales and offsets that were searched for, each so
 * that the squares of the errors, weighted by how large elements are, add up to little, and then rounded themselves.
 */
export const BLOCK_FORMATS: Readonly<Record<QuantisedType, BlockFormat>> = {
  q8_0: {
    elements: 32,
    bytes: 34,
    quantise(elements, from, bytes, to) {
      const scale = Math.abs(furthest(elements, from, 32)) / 127;
      putHalf(bytes, to, scale);
      for (let i = 0; i < 32; i++) bytes[to + 2 + i] = nearest(divided(elements[from + i] ?? 0, scale));
    },
  },
  q4_0: {
    elements: 32,
    bytes: 18,
    quantise(elements, from, bytes, to) {
      const codes = symmetricCodes(elements, from, bytes, to, 8);
      putNibbles(codes, bytes, to + 2);
    },
  },
  q4_1: {
    elements: 32,
    bytes: 20,
    quantise(elements, from, bytes, to) {
      const codes = rangeCodes(elements, from, bytes, to, 15);
      putNibbles(codes, bytes, to + 4);
    },
  },
  q5_0: {
    elements: 32,
    bytes: 22,
    quantise(elements, from, bytes, to) {
      const codes = symmetricCodes(elements, from, bytes, to, 16);
      putFifthBits(codes, bytes, to + 2);
      putNibbles(codes, bytes, to + 6);
    },
  },
  q5_1: {
    elements: 32,
    bytes: 24,
    quantise(elements, from, bytes, to) {
      const codes = rangeCodes(elements, from, bytes, to, 31);
      putFifthBits(codes, bytes, to + 4);
      putNibbles(codes, bytes, to + 8);
    },
  },
  q4_k: {
    elements: 256,
    bytes: 144,
    quantise(elements, from, bytes, to) {
      const codes = offsetCodes(elements, from, bytes, to, { most: 15, first: -1, steps: 20 });
      putPartsOfK(codes, bytes, to + 16);
    },
  },
  q5_k: {
    elements: 256,
    bytes: 176,
    quantise(elements, from, bytes, to) {
      const codes = offsetCodes(elements, from, bytes, to, { most: 31, first: -0.5, steps: 15 });
      bytes.fill(0, to + 16, to + 48);
      for (let i = 0; i < 256; i++) {
        const at = to + 16 + (i % 32);
        bytes[at] = (bytes[at] ?? 0) | (((codes[i] ?? 0) >> 4) << (i >> 5));
      }
      putPartsOfK(codes, bytes, to + 48);
    },
  },
  q6_k: {
    elements: 256,
    bytes: 210,
    quantise(elements, from, bytes, to) {
      const codes = sixBitCodes(elements, from, bytes, to);
      for (let run = 0; run < 2; run++) {
        for (let i = 0; i < 32; i++) {
          const code = (quarter: number): number => codes[128 * run + 32 * quarter + i] ?? 0;
          for (let half = 0; half < 2; half++) {
            bytes[to + 64 * run + 32 * half + i] = (code(half) & 15) | ((code(half + 2) & 15) << 4);
          }
          bytes[to + 128 + 32 * run + i] = [0, 1, 2, 3].reduce((all, q) => all | ((code(q) >> 4) << (2 * q)), 0);
        }
      }
    },
  },
};

/**
 * Rows as blocks.
 *
 * @param elements whole rows, whose width is a multiple of a block's elements.
 * @example quantise("q8_0", new Float32Array(64)).length // 68
 */
export function quantise(type: QuantisedType, elements: Float32Array): Uint8Array {
  const format = BLOCK_FORMATS[type];
  const blocks = elements.length / format.elements;
  const bytes = new Uint8Array(blocks * format.bytes);
  for (let b = 0; b < blocks; b++) format.quantise(elements, b * format.elements, bytes, b * format.bytes);
  return bytes;
}

/** The element furthest from 0. */
function furthest(elements: Float32Array, from: number, count: number): number {
  let most = 0;
  for (let i = from; i < from + count; i++) if (Math.abs(elements[i] ?? 0) > Math.abs(most)) most = elements[i] ?? 0;
  return most;
}

/** A scale that is 0 has nothing but zeros. */
function divided(value: number, scale: number): number {
  return scale === 0 ? 0 : value / scale;
}

/** Halves away from 0, as C's `roundf` has it. */
function nearest(value: number): number {
  return value < 0 ? -Math.floor(0.5 - value) : Math.floor(value + 0.5);
}

function clamped(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

/** d, as a half; codes of x / d + zero, where the element furthest from 0 is at code 0. */
function symmetricCodes(elements: Float32Array, from: number, bytes: Uint8Array, to: number, zero: number): Uint8Array {
  const scale = furthest(elements, from, 32) / -zero;
  putHalf(bytes, to, scale);
  return Uint8Array.from({ length: 32 }, (_, i) =>
    clamped(Math.floor(divided(elements[from + i] ?? 0, scale) + zero + 0.5), 0, 2 * zero - 1),
  );
}

/** d and m, as halves; codes of (x - m) / d, from the least to the greatest element. */
function rangeCodes(elements: Float32Array, from: number, bytes: Uint8Array, to: number, most: number): Uint8Array {
  const of = elements.subarray(from, from + 32);
  const least = of.reduce((a, b) => Math.min(a, b), Infinity);
  const scale = (of.reduce((a, b) => Math.max(a, b), -Infinity) - least) / most;
  putHalf(bytes, to, scale);
  putHalf(bytes, to + 2, least);
  return Uint8Array.from(of, (x) => clamped(Math.floor(divided(x - least, scale) + 0.5), 0, most));
}

interface OffsetSearch {
  readonly most: number;
  /** Of the codes' range, how much more or less than `most` is tried first. */
  readonly first: number;
  readonly steps: number;
}

/** d and dmin, as halves; scales and offsets of eight parts in six bits; codes of (x + dmin · t) / (d · s). */
function offsetCodes(
  elements: Float32Array,
  from: number,
  bytes: Uint8Array,
  to: number,
  search: OffsetSearch,
): Uint8Array {
  const parts = Array.from({ length: 8 }, (_, part) => fitOffset(elements, from + 32 * part, search));
  const d = Math.max(...parts.map(({ scale }) => scale)) / 63;
  const dmin = Math.max(...parts.map(({ offset }) => offset)) / 63;
  putHalf(bytes, to, d);
  putHalf(bytes, to + 2, dmin);
  const scales = parts.map(({ scale }) => clamped(nearest(divided(scale, d)), 0, 63));
  const offsets = parts.map(({ offset }) => clamped(nearest(divided(offset, dmin)), 0, 63));
  putScalesOfK(scales, offsets, bytes, to + 4);
  const [storedD, storedMin] = [halfOf(d), halfOf(dmin)];
  const codes = new Uint8Array(256);
  for (let part = 0; part < 8; part++) {
    const offset = storedMin * (offsets[part] ?? 0);
    const scale = storedD * (scales[part] ?? 0);
    for (let i = 32 * part; i < 32 * part + 32; i++) {
      codes[i] = clamped(nearest(divided((elements[from + i] ?? 0) + offset, scale)), 0, search.most);
    }
  }
  return codes;
}

/**
 * The scale and the offset, not below 0, of which scale · q - offset with whole q from 0 to `most` come nearest to 32
 * elements: for some ranges of codes that the elements are rounded to, the least squares of both, weighted by |x| and the
 * root of the elements' mean square.
 */
function fitOffset(
  elements: Float32Array,
  from: number,
  { most, first, steps }: OffsetSearch,
): { readonly scale: number; readonly offset: number } {
  // Plain loops throughout: this is where the time goes.
  let [least, greatest, squares] = [0, -Infinity, 0];
  for (let i = from; i < from + 32; i++) {
    const x = elements[i] ?? 0;
    if (x < least) least = x;
    if (x > greatest) greatest = x;
    squares += x * x;
  }
  if (greatest <= least) return { scale: 0, offset: -least };
  const average = Math.sqrt(squares / 32);
  let best = { scale: (greatest - least) / most, offset: -least };
  let error = Infinity;
  // Before the ranges that are searched, the plain one as it is.
  for (let step = -1; step <= steps; step++) {
    const inverse = (step < 0 ? most : most + first + 0.1 * step) / (greatest - least);
    let [w, q, q2, x1, x2, xq] = [0, 0, 0, 0, 0, 0];
    for (let i = from; i < from + 32; i++) {
      const x = elements[i] ?? 0;
      const rounded = Math.floor((x - least) * inverse + 0.5);
      const code = rounded > most ? most : rounded;
      const weight = average + (x < 0 ? -x : x);
      const ofCode = weight * code;
      const ofElement = weight * x;
      w += weight;
      q += ofCode;
      q2 += ofCode * code;
      x1 += ofElement;
      x2 += ofElement * x;
      xq += ofElement * code;
    }
    let { scale, offset } = best;
    if (step >= 0) {
      const determinant = w * q2 - q * q;
      if (determinant <= 0) continue;
      scale = (w * xq - x1 * q) / determinant;
      offset = -(q2 * x1 - q * xq) / determinant;
      if (offset < 0) [scale, offset] = [q2 === 0 ? 0 : xq / q2, 0];
    }
    // The sum of weight · (scale · code - offset - x)².
    const found = scale * scale * q2 + offset * offset * w + x2 - 2 * (scale * offset * q + scale * xq - offset * x1);
    if (scale > 0 && found < error) [best, error] = [{ scale, offset }, found];
  }
  return best;
}

/** Sixteen scales in signed bytes, then d; codes of x / (d · s) + 32. */
function sixBitCodes(elements: Float32Array, from: number, bytes: Uint8Array, to: number): Uint8Array {
  const fitted = Array.from({ length: 16 }, (_, g) => fitScale(elements.subarray(from + 16 * g, from + 16 * g + 16)));
  const most = fitted.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
  const d = most / -128;
  putHalf(bytes, to + 208, d);
  const scales = fitted.map((scale) => clamped(nearest(divided(scale, d)), -128, 127));
  scales.forEach((scale, g) => (bytes[to + 192 + g] = scale));
  const stored = halfOf(d);
  return Uint8Array.from({ length: 256 }, (_, i) => {
    const code = nearest(divided(elements[from + i] ?? 0, stored * (scales[i >> 4] ?? 0)));
    return clamped(code, -32, 31) + 32;
  });
}

/** The scale by which whole numbers from -32 to 31 come nearest to elements: least squares, weighted by x². */
function fitScale(elements: Float32Array): number {
  const most = furthest(elements, 0, elements.length);
  if (most === 0) return 0;
  let best = { scale: most / -32, gain: -Infinity };
  for (let step = -9; step <= 9; step++) {
    const inverse = -(32 + 0.1 * step) / most;
    let [xq, q2] = [0, 0];
    for (const x of elements) {
      const code = clamped(nearest(inverse * x), -32, 31);
      xq += x * x * x * code;
      q2 += x * x * code * code;
    }
    // What the best scale for these codes takes off the squares of the errors.
    const gain = q2 === 0 ? -Infinity : (xq * xq) / q2;
    if (gain > best.gain) best = { scale: xq / q2, gain };
  }
  return best.scale;
}

/** In a block of 32, a byte has elements i and i + 16. */
function putNibbles(codes: Uint8Array, bytes: Uint8Array, to: number): void {
  for (let i = 0; i < 16; i++) bytes[to + i] = ((codes[i] ?? 0) & 15) | (((codes[i + 16] ?? 0) & 15) << 4);
}

/** Bit i of four bytes is element i's. */
function putFifthBits(codes: Uint8Array, bytes: Uint8Array, to: number): void {
  for (let b = 0; b < 4; b++) {
    let bits = 0;
    for (let i = 0; i < 8; i++) bits |= ((codes[8 * b + i] ?? 0) >> 4) << i;
    bytes[to + b] = bits;
  }
}

/** In a block of 256, a byte has element i of one part and of the next. */
function putPartsOfK(codes: Uint8Array, bytes: Uint8Array, to: number): void {
  for (let pair = 0; pair < 4; pair++) {
    for (let i = 0; i < 32; i++) {
      const [low, high] = [codes[64 * pair + i] ?? 0, codes[64 * pair + 32 + i] ?? 0];
      bytes[to + 32 * pair + i] = (low & 15) | ((high & 15) << 4);
    }
  }
}

/** Eight scales and eight offsets of six bits in twelve bytes: the last four of each share bytes with the first four. */
function putScalesOfK(scales: readonly number[], offsets: readonly number[], bytes: Uint8Array, to: number): void {
  for (let i = 0; i < 4; i++) {
    const [s, m, s4, m4] = [scales[i] ?? 0, offsets[i] ?? 0, scales[i + 4] ?? 0, offsets[i + 4] ?? 0];
    bytes[to + i] = s | ((s4 >> 4) << 6);
    bytes[to + 4 + i] = m | ((m4 >> 4) << 6);
    bytes[to + 8 + i] = (s4 & 15) | ((m4 & 15) << 4);
  }
}

function putHalf(bytes: Uint8Array, to: number, value: number): void {
  const bits = numberToF16(value);
  bytes[to] = bits & 0xff;
  bytes[to + 1] = bits >> 8;
}

function halfOf(value: number): number {
  return f16ToNumber(numberToF16(value));
}
