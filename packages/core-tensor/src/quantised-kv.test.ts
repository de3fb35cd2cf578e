import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { KV_TYPES, fitsKvType, kvRow, kvRowBytes, kvTypeOfRow, type QuantisedKvType } from "./kv-type";
import { dequantiseRows, quantiseRows } from "./quantised-kv";

/** Two rows of heads that a type allows. */
const rowsOf = (kvType: QuantisedKvType) =>
  fc
    .record({
      headDim: kvType === "q8" ? fc.integer({ min: 1, max: 12 }).map((x) => 4 * x) : fc.constantFrom(32, 64, 96),
      exponent: fc.integer({ min: -30, max: 30 }),
    })
    .chain(({ headDim, exponent }) =>
      fc
        .array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 2 * headDim, maxLength: 2 * headDim })
        .map((values) => ({ headDim, values: Float32Array.from(values, (x) => x * 2 ** exponent) })),
    );

const again = (kvType: QuantisedKvType, values: Float32Array, headDim: number): Float32Array =>
  dequantiseRows(kvType, quantiseRows(kvType, values, headDim), headDim);

/** 32 elements, zeros but for the first. */
const thirtyTwo = (...first: readonly number[]): Float32Array => {
  const values = new Float32Array(32);
  values.set(first);
  return values;
};

describe("rows in q8", () => {
  it("are bytes, the first in the lowest bits, then the scale", () => {
    const words = quantiseRows("q8", Float32Array.of(127, -1, 0, 63.6, -254, 2, 3, 5), 4);
    // 3 and 5 are ties between whole multiples of 2: to even.
    expect(Array.from(words)).toEqual([0x4000ff7f, 0x3f800000, 0x02020181, 0x40000000]);
    expect(Array.from(dequantiseRows("q8", words, 4))).toEqual([127, -1, 0, 64, -254, 2, 4, 4]);
  });

  it("of zeros, and of what no normal scale has room for, are zeros", () => {
    expect(Array.from(quantiseRows("q8", Float32Array.of(0, -0, 0, 0, 1e-36, 0, -1e-36, 0), 4))).toEqual([0, 0, 0, 0]);
  });

  it("have room for the greatest number", () => {
    const most = 3.4028234663852886e38;
    const [first = NaN, second = NaN] = again("q8", Float32Array.of(most, -most, 0, 0), 4);
    expect(first / most).toBeCloseTo(1, 4);
    expect(second).toBe(-first);
  });

  it.each([NaN, Infinity, -Infinity])("with %s are not finite", (wrong) => {
    const found = again("q8", Float32Array.of(1, wrong, 2, 3), 4);
    expect(found.some((value) => !Number.isFinite(value))).toBe(true);
    expect(found[1]).toBeNaN();
  });
});

describe("rows in q4", () => {
  it("are fours of bits, the first in the lowest, then a scale for each 32 elements", () => {
    const values = new Float32Array(64);
    values.set(thirtyTwo(7, -7, 1, -1, 2.5, 3.5, 0, -2));
    values.set(thirtyTwo(0, 14, -3), 32);
    const words = quantiseRows("q4", values, 64);
    // 2.5 and 3.5 are ties: to even. So is -1.5, the share of -3.
    expect(Array.from(words)).toEqual([0xe042f197, 0, 0, 0, 0xe70, 0, 0, 0, 0x3f800000, 0x40000000]);
    expect(Array.from(dequantiseRows("q4", words, 64).subarray(0, 8))).toEqual([7, -7, 1, -1, 2, 4, 0, -2]);
    expect(Array.from(dequantiseRows("q4", words, 64).subarray(32, 36))).toEqual([0, 14, -4, 0]);
  });

  it("keep what is not finite, and what has no normal scale, within 32 elements", () => {
    const values = new Float32Array(96);
    values.set(thirtyTwo(1e-38), 0);
    values.set(thirtyTwo(1, NaN), 32);
    values.set(thirtyTwo(7), 64);
    const found = again("q4", values, 96);
    expect(found.subarray(0, 32).every((value) => value === 0)).toBe(true);
    expect(found.subarray(32, 64).some((value) => !Number.isFinite(value))).toBe(true);
    expect(Array.from(found.subarray(64))).toEqual(Array.from(thirtyTwo(7)));
  });
});

describe.each([
  ["q8", 127],
  ["q4", 7],
] as const)("rows in %s", (kvType, levels) => {
  it("lie within half a scale of what they were", () => {
    fc.assert(
      fc.property(rowsOf(kvType), ({ headDim, values }) => {
        const found = again(kvType, values, headDim);
        const group = kvType === "q4" ? 32 : headDim;
        for (let first = 0; first < values.length; first += group) {
          const of = values.subarray(first, first + group);
          const most = Math.max(...of.map(Math.abs));
          of.forEach((value, i) => {
            expect(Math.abs((found[first + i] ?? NaN) - value)).toBeLessThanOrEqual(
              (most / (2 * levels)) * (1 + 2 ** -15) + levels * 2 ** -126,
            );
          });
        }
      }),
    );
  });

  it("stay the same when what they stand for is quantised again", () => {
    fc.assert(
      fc.property(rowsOf(kvType), ({ headDim, values }) => {
        const words = quantiseRows(kvType, values, headDim);
        expect(quantiseRows(kvType, dequantiseRows(kvType, words, headDim), headDim)).toEqual(words);
      }),
    );
  });
});

describe("kvRow", () => {
  it("says what a slot's key takes", () => {
    expect(kvRow("f32", 6)).toEqual({ dtype: "f32", width: 6 });
    expect(kvRow("f16", 8)).toEqual({ dtype: "f16", width: 8 });
    expect(kvRow("q8", 8)).toEqual({ dtype: "u32", width: 3 });
    expect(kvRow("q4", 96)).toEqual({ dtype: "u32", width: 15 });
    expect(KV_TYPES.map((type) => kvRowBytes(type, 64))).toEqual([256, 128, 68, 40]);
  });

  it("is told from what a slab holds", () => {
    for (let headDim = 1; headDim <= 512; headDim++)
      for (const kvType of KV_TYPES)
        if (fitsKvType(kvType, headDim)) expect(kvTypeOfRow(kvRow(kvType, headDim), headDim)).toBe(kvType);
    expect(() => kvTypeOfRow({ dtype: "u32", width: 18 }, 64)).toThrow("18 × u32");
  });

  it("refuses heads that q4 cannot hold", () => {
    expect(() => kvRow("q4", 80)).toThrow(/multiple of 32.* 80 /);
  });

  it.each(["f16", "q8"] as const)("refuses heads that %s cannot hold", (type) => {
    expect(() => kvRow(type, 6)).toThrow(
      expect.objectContaining({
        code: "dtype",
        message: expect.stringMatching(/multiple of four.* 6 .*f32/) as unknown,
      }),
    );
  });
});
