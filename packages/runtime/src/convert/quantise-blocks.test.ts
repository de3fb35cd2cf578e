import { randomWord, QUANTISED_TYPES } from "@winnow/core-tensor";
import { describe, expect, it } from "vitest";

import { DECODERS } from "../checkpoint/quantised-blocks";
import { BLOCK_FORMATS, quantise } from "./quantise-blocks";

/** About normal, with a mean of its own. */
function randomRow(seed: number, count: number, mean: number, spread: number): Float32Array {
  const uniform = (i: number, n: number): number => randomWord(seed, i, n) / 2 ** 32;
  return Float32Array.from({ length: count }, (_, i) => {
    const sum = [0, 1, 2, 3, 4, 5, 6, 7].reduce((total, n) => total + uniform(i, n), 0);
    return mean + spread * (sum - 4) * 1.22;
  });
}

function decoded(type: (typeof QUANTISED_TYPES)[number], bytes: Uint8Array): Float32Array {
  const format = BLOCK_FORMATS[type];
  const elements = new Float32Array((bytes.length / format.bytes) * format.elements);
  for (let b = 0; b < bytes.length / format.bytes; b++) {
    const at = b * format.elements;
    DECODERS[type.toUpperCase()]?.(bytes, b * format.bytes, elements.subarray(at, at + format.elements));
  }
  return elements;
}

/** The root of the mean square error, as a share of the elements' own. */
function errorOf(type: (typeof QUANTISED_TYPES)[number], row: Float32Array): number {
  const found = decoded(type, quantise(type, row));
  const square = (of: (x: number, i: number) => number): number => row.reduce((sum, x, i) => sum + of(x, i) ** 2, 0);
  return Math.sqrt(square((x, i) => (found[i] ?? NaN) - x) / square((x) => x));
}

describe("quantised rows", () => {
  // Of about normal numbers.
  it.each([
    ["q8_0", 0.006],
    ["q6_k", 0.02],
    ["q5_k", 0.04],
    ["q5_1", 0.045],
    ["q5_0", 0.05],
    ["q4_k", 0.075],
    ["q4_1", 0.085],
    ["q4_0", 0.1],
  ] as const)("of %s come within their share of the elements", (type, most) => {
    for (const seed of [1, 2, 3]) expect(errorOf(type, randomRow(seed, 2048, 0, 0.05))).toBeLessThan(most);
  });

  it("lose less with more bits, and with scales that were searched for", () => {
    const row = randomRow(9, 4096, 0.01, 0.04);
    const errors = (["q8_0", "q6_k", "q5_k", "q4_k", "q4_0"] as const).map((type) => errorOf(type, row));
    expect(errors).toEqual(errors.toSorted((a, b) => a - b));
    expect(errorOf("q5_k", row)).toBeLessThan(errorOf("q5_0", row));
  });

  it.each(QUANTISED_TYPES)("of %s are exact where they can be, and 0 where all is", (type) => {
    const zeros = new Float32Array(512);
    expect(decoded(type, quantise(type, zeros)).map((x) => x + 0)).toEqual(zeros);
    // What a row stands for is a row that stands for itself, or nearly so where scales are searched for.
    const once = decoded(type, quantise(type, randomRow(4, 512, 0, 1)));
    const twice = decoded(type, quantise(type, once));
    const tolerance = type.endsWith("k") ? 0.08 : 2e-3;
    once.forEach((x, i) => {
      expect(Math.abs((twice[i] ?? NaN) - x)).toBeLessThan(tolerance * 4);
    });
  });

  it.each(QUANTISED_TYPES)("of %s have the element furthest from 0 nearly as it is", (type) => {
    const row = randomRow(7, 256, 0, 0.1);
    row[77] = -3;
    const found = decoded(type, quantise(type, row));
    expect(Math.abs((found[77] ?? NaN) + 3)).toBeLessThan(0.1);
  });
});
