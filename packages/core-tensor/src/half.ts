const bits = new ArrayBuffer(4);
const asFloat = new Float32Array(bits);
const asWord = new Uint32Array(bits);

/** The value of an IEEE 754 binary16 bit pattern. */
export function f16ToNumber(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return (sign ? -1 : 1) * fraction * 2 ** -24;
  asWord[0] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13);
  return asFloat[0] ?? NaN;
}

/** The binary16 bit pattern nearest to a value, ties to even; overflow gives an infinity. */
export function numberToF16(value: number): number {
  asFloat[0] = value;
  const word = asWord[0] ?? 0;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude >= 0x7f800000) return sign | 0x7c00 | (magnitude > 0x7f800000 ? 0x200 : 0);
  if (magnitude < 0x38800000) {
    // Below the least normal number: count in steps of 2^-24, rounded to even.
    const steps = Math.abs(value) * 2 ** 24;
    const floor = Math.floor(steps);
    const rest = steps - floor;
    return sign | (floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0));
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return rounded >= 0x47800000 ? sign | 0x7c00 : sign | ((rounded - 0x38000000) >>> 13);
}

/** The value of a bfloat16 bit pattern: the upper half of an f32. */
export function bf16ToNumber(half: number): number {
  asWord[0] = half << 16;
  return asFloat[0] ?? NaN;
}

/** The bfloat16 bit pattern nearest to a value, ties to even. */
export function numberToBf16(value: number): number {
  asFloat[0] = value;
  const word = asWord[0] ?? 0;
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
}

let f16Table: Float32Array | undefined;

/** Widen a run of binary16 values; every pattern is looked up in a table of 256 KB made on first use. */
export function widenF16(source: Uint16Array, target: Float32Array): void {
  f16Table ??= Float32Array.from({ length: 0x10000 }, (_, half) => f16ToNumber(half));
  const table = f16Table;
  for (let i = 0; i < source.length; i++) target[i] = table[source[i] ?? 0] ?? NaN;
}

/** Widen a run of bfloat16 values. */
export function widenBf16(source: Uint16Array, target: Float32Array): void {
  const words = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < source.length; i++) words[i] = (source[i] ?? 0) << 16;
}
