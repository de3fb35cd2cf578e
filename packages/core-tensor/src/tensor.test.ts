import { describe, expect, it } from "vitest";

import { DTYPES, bytesOf } from "./dtype";
import { elementCount, expectShape, sameShape } from "./shape";
import { tensor, toFloat32 } from "./tensor";

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

describe("dtypes", () => {
  it("take whole blocks of bytes", () => {
    expect([bytesOf("f32", 3), bytesOf("bf16", 3), bytesOf("q8_0", 64), bytesOf("q4_k", 256)]).toEqual([
      12, 6, 68, 144,
    ]);
    expect(() => bytesOf("q6_k", 100)).toThrow(expect.objectContaining({ code: "dtype" }));
  });

  it("are all described", () => {
    for (const { blockSize, blockBytes, kind } of Object.values(DTYPES)) {
      expect(blockSize).toBeGreaterThan(0);
      expect(blockBytes).toBeGreaterThan(0);
      expect(kind === "quantised").toBe(blockSize > 1);
    }
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
