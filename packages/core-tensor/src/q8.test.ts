import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { kvRow, kvRowBytes } from "./kv-type";
import { dequantiseRows, quantiseRows } from "./q8";

const rows = fc
  .record({ quarter: fc.integer({ min: 1, max: 12 }), exponent: fc.integer({ min: -30, max: 30 }) })
  .chain(({ quarter, exponent }) =>
    fc
      .array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 8 * quarter, maxLength: 8 * quarter })
      .map((values) => ({ headDim: 4 * quarter, values: Float32Array.from(values, (x) => x * 2 ** exponent) })),
  );

describe("rows in q8", () => {
  it("are bytes, the first in the lowest bits, then the scale", () => {
    const words = quantiseRows(Float32Array.of(127, -1, 0, 63.6, -254, 2, 3, 5), 4);
    // 3 and 5 are ties between whole multiples of 2: to even.
    expect(Array.from(words)).toEqual([0x4000ff7f, 0x3f800000, 0x02020181, 0x40000000]);
    expect(Array.from(dequantiseRows(words, 4))).toEqual([127, -1, 0, 64, -254, 2, 4, 4]);
  });

  it("of zeros, and of what no normal scale has room for, are zeros", () => {
    expect(Array.from(quantiseRows(Float32Array.of(0, -0, 0, 0, 1e-36, 0, -1e-36, 0), 4))).toEqual([0, 0, 0, 0]);
  });

  it("have room for the greatest number", () => {
    const most = 3.4028234663852886e38;
    const [first = NaN, second = NaN] = dequantiseRows(quantiseRows(Float32Array.of(most, -most, 0, 0), 4), 4);
    expect(first / most).toBeCloseTo(1, 4);
    expect(second).toBe(-first);
  });

  it.each([NaN, Infinity, -Infinity])("with %s are not finite", (wrong) => {
    const found = dequantiseRows(quantiseRows(Float32Array.of(1, wrong, 2, 3), 4), 4);
    expect(found.some((value) => !Number.isFinite(value))).toBe(true);
    expect(found[1]).toBeNaN();
  });

  it("lie within half a scale of what they were", () => {
    fc.assert(
      fc.property(rows, ({ headDim, values }) => {
        const found = dequantiseRows(quantiseRows(values, headDim), headDim);
        for (let row = 0; row < values.length; row += headDim) {
          const of = values.subarray(row, row + headDim);
          const most = Math.max(...of.map(Math.abs));
          of.forEach((value, i) => {
            expect(Math.abs((found[row + i] ?? NaN) - value)).toBeLessThanOrEqual(
              (most / 254) * (1 + 2 ** -15) + 2 ** -119,
            );
          });
        }
      }),
    );
  });

  it("stay the same when what they stand for is quantised again", () => {
    fc.assert(
      fc.property(rows, ({ headDim, values }) => {
        const words = quantiseRows(values, headDim);
        expect(quantiseRows(dequantiseRows(words, headDim), headDim)).toEqual(words);
      }),
    );
  });
});

describe("kvRow", () => {
  it("says what a slot's key takes", () => {
    expect(kvRow("f32", 6)).toEqual({ dtype: "f32", width: 6 });
    expect(kvRow("f16", 8)).toEqual({ dtype: "f16", width: 8 });
    expect(kvRow("q8", 8)).toEqual({ dtype: "u32", width: 3 });
    expect((["f32", "f16", "q8"] as const).map((type) => kvRowBytes(type, 64))).toEqual([256, 128, 68]);
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
