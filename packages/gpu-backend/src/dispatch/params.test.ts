import { expect, it } from "vitest";

import { paramBlock } from "./params";

const PARAMS = paramBlock({ rows: "u32", shift: "i32", epsilon: "f32" });

it("prints a struct and writes what it describes", () => {
  expect(PARAMS.wgsl).toBe("struct Params {\n  rows: u32,\n  shift: i32,\n  epsilon: f32,\n}");
  expect(PARAMS.bytes).toBe(16);
  const target = new DataView(new ArrayBuffer(32));
  PARAMS.pack({ rows: 2 ** 32 - 1, shift: -3, epsilon: 0.5 }).write(target, 16);
  expect(target.getUint32(16, true)).toBe(2 ** 32 - 1);
  expect(target.getInt32(20, true)).toBe(-3);
  expect(target.getFloat32(24, true)).toBe(0.5);
});

it.each([
  ["a fraction", { rows: 1.5, shift: 0, epsilon: 0 }],
  ["a negative count", { rows: -1, shift: 0, epsilon: 0 }],
  ["what no word holds", { rows: 0, shift: 2 ** 31, epsilon: 0 }],
  ["what is no number", { rows: NaN, shift: 0, epsilon: 0 }],
])("refuses %s, naming the field", (_, values) => {
  const target = new DataView(new ArrayBuffer(16));
  expect(() => {
    PARAMS.pack(values).write(target, 0);
  }).toThrow(/parameter (rows|shift)/);
});
