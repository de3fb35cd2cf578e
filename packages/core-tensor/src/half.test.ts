import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { bf16ToNumber, f16ToNumber, numberToBf16, numberToF16, widenBf16, widenF16 } from "./half";

const PATTERNS = Array.from({ length: 0x10000 }, (_, half) => half);

/** The value of a pattern by the definition of IEEE 754, with arithmetic in place of bits. */
function valueOf(half: number, exponentBits: number, fractionBits: number): number {
  const sign = half >= 0x8000 ? -1 : 1;
  const exponent = Math.floor((half % 0x8000) / 2 ** fractionBits);
  const fraction = (half % 2 ** fractionBits) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

describe.each([
  { name: "f16", toNumber: f16ToNumber, fromNumber: numberToF16, widen: widenF16, exponentBits: 5, fractionBits: 10 },
  {
    name: "bf16",
    toNumber: bf16ToNumber,
    fromNumber: numberToBf16,
    widen: widenBf16,
    exponentBits: 8,
    fractionBits: 7,
  },
])("$name", ({ toNumber, fromNumber, widen, exponentBits, fractionBits }) => {
  it("has the value that every one of its patterns spells", () => {
    const wide = new Float32Array(0x10000);
    widen(Uint16Array.from(PATTERNS), wide);
    const wrong = PATTERNS.filter((half) => {
      const value = valueOf(half, exponentBits, fractionBits);
      return !Object.is(toNumber(half), value) || !Object.is(wide[half], value);
    });
    expect(wrong).toEqual([]);
  });

  it("comes back from every one of its values", () => {
    const wrong = PATTERNS.filter((half) => {
      const value = toNumber(half);
      return Number.isNaN(value) ? !Number.isNaN(toNumber(fromNumber(value))) : fromNumber(value) !== half;
    });
    expect(wrong).toEqual([]);
  });

  it("takes the nearest value, and of two the even pattern", () => {
    const largest = toNumber((2 ** exponentBits - 1) * 2 ** fractionBits - 1);
    fc.assert(
      fc.property(fc.nat(0x7fff), fc.constantFrom(0, 0.25, 0.5, 0.75), fc.boolean(), (half, part, negative) => {
        const [low, high] = [toNumber(half), toNumber(half + 1)];
        if (!Number.isFinite(low) || !Number.isFinite(high)) return;
        const value = low + part * (high - low);
        const nearest = part < 0.5 || (part === 0.5 && half % 2 === 0) ? half : half + 1;
        expect(fromNumber(negative ? -value : value)).toBe(negative ? nearest + 0x8000 : nearest);
      }),
    );
    expect(toNumber(fromNumber(largest * 1.5))).toBe(Infinity);
    expect(toNumber(fromNumber(-Infinity))).toBe(-Infinity);
  });
});
