import { numberToBf16, numberToF16, tensor } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { describeGpu, testBackend } from "../testing/on-gpu";

const OPTIONS = { label: "elements.test", category: "kv" } as const;
const VALUES = [1, -0.5, 2, 0.25, 8, 3, -4];

describeGpu("elements", () => {
  it.each([
    ["f16", numberToF16],
    ["bf16", numberToBf16],
  ] as const)("of %s are kept as they come, and read and written in parts", async (dtype, encode) => {
    using backend = await testBackend();
    using halves = backend.upload(tensor(dtype, [7], Uint16Array.from(VALUES, encode)), OPTIONS);
    expect(halves).toMatchObject({ dtype, bytes: 14 });
    expect(Array.from(await backend.download(halves))).toEqual(VALUES);
    for (const [start, count] of [
      [0, 1],
      [1, 1],
      [1, 4],
      [3, 4],
      [6, 1],
      [7, 0],
    ] as const) {
      expect(Array.from(await backend.download(halves, start, count))).toEqual(VALUES.slice(start, start + count));
    }
    backend.write(halves, Float32Array.of(5, 6), 2);
    backend.write(halves, Float32Array.of(7), 6);
    expect(Array.from(await backend.download(halves))).toEqual([1, -0.5, 5, 6, 8, 3, 7]);
    expect(() => {
      backend.write(halves, Float32Array.of(1, 2), 1);
    }).toThrow(/elements 1 to 3 .* two of (b?f16)/);
  });

  it("come back as words where they are integers", async () => {
    using backend = await testBackend();
    using numbers = backend.upload(tensor("i32", [2], Int32Array.of(-1, 5)), OPTIONS);
    expect(await backend.download(numbers)).toEqual(Uint32Array.of(2 ** 32 - 1, 5));
    expect(() => {
      backend.write(numbers, Float32Array.of(1));
    }).toThrow(/holds i32, expected a Int32Array, found a Float32Array/);
  });

  it("are taken from the middle of a larger array", async () => {
    using backend = await testBackend();
    const file = Float32Array.of(0, 1, 2, 3, 4);
    using part = backend.upload(tensor("f32", [3], file.subarray(1, 4)), OPTIONS);
    expect(Array.from(await backend.download(part))).toEqual([1, 2, 3]);
  });
});
