import { describe, expect, it } from "vitest";

import { bytesOf } from "./dtype";
import { elementCount, expectShape, sameShape } from "./shape";
import { tensor, tensorBytes, toFloat32 } from "./tensor";

describe("shapes", () => {
  it("count elements, one for a scalar", () => {
    expect([elementCount([2, 3, 4]), elementCount([]), elementCount([5, 0])]).toEqual([24, 1, 0]);
    expect(sameShape([1, 2], [1, 2])).toBe(true);
    expect(sameShape([1, 2], [1, 2, 1])).toBe(false);
  });

  it.each([[[-1]], [[1.5]], [[NaN]], [[2 ** 40, 2 ** 40]]])("%j is refused", (shape) => {
    expect(() => elementCount(shape)).toThrow(expect.objectContaining({ code: "shape" }));
  });

  it("are checked against a rule, in one line that names all", () => {
    expect(() => {
      expectShape("matmul", "weight", [3, 9], [null, 8]);
    }).toThrow("matmul: weight has shape [3, 9], expected [any, 8]");
    expect(() => {
      expectShape("matmul", "weight", [3], [null, 8]);
    }).toThrow("[3]");
    expectShape("matmul", "weight", [3, 8], [null, 8]);
  });
});

describe("bytes", () => {
  it("are those of elements, or of rows where these are quantised", () => {
    expect([bytesOf("f32", 3), bytesOf("bf16", 3)]).toEqual([12, 6]);
    // 64 bytes and two halves a row; 128, then 8 pairs of bytes and a pair of halves.
    expect([tensorBytes("q8_0", [2, 64]), tensorBytes("q4_k", [3, 256])]).toEqual([136, 3 * 148]);
    expect(tensorBytes("q8_0", [0, 64])).toBe(0);
    expect(() => tensorBytes("q6_k", [256, 100])).toThrow(expect.objectContaining({ code: "dtype" }));
  });
});

describe("tensors", () => {
  it("take over data that fits, and refuse the rest", () => {
    const data = Float32Array.of(1, 2);
    expect(tensor("f32", [2], data).data).toBe(data);
    expect(() => tensor("f32", [3], data)).toThrow("takes 12 bytes, and the data has 8");
  });

  it("widen to f32 without a copy where they can", () => {
    const data = Float32Array.of(1, 2);
    expect(toFloat32(tensor("f32", [2], data))).toBe(data);
    expect(toFloat32(tensor("f16", [2], Uint16Array.of(0x3c00, 0xc000)))).toEqual(Float32Array.of(1, -2));
    expect(toFloat32(tensor("bf16", [2], Uint16Array.of(0x3f80, 0xc000)))).toEqual(Float32Array.of(1, -2));
    expect(() => toFloat32(tensor("u32", [1], Uint32Array.of(1)))).toThrow(expect.objectContaining({ code: "dtype" }));
  });
});
