import { expect, it } from "vitest";

import { agrees, areFinite } from "./agreement";

const numbers = (...values: number[]): Float32Array[] => [Float32Array.from(values)];

it.each([
  ["the same", [1, -200, 3], false, true],
  ["sums in another order", [1.1, -200.1, 3], false, true],
  ["one number that is another", [1, -200, 4], false, false],
  ["what was rounded to eight bits", [3, -190, 5], true, true],
  ["what was rounded, and should not be", [3, -190, 5], false, false],
  ["half of all", [0.5, -100, 1.5], true, false],
  ["nothing", [NaN, NaN, NaN], true, false],
  ["fewer numbers", [1, -200], true, false],
] as const)("%s", (_, found, rounds, same) => {
  expect(agrees(numbers(1, -200, 3), numbers(...found), rounds)).toBe(same);
});

it("compares each of several results, and what is nothing", () => {
  const zeros = [...numbers(0, 0), ...numbers(1)];
  expect(agrees(zeros, [...numbers(0, 0), ...numbers(1)], false)).toBe(true);
  expect(agrees(zeros, [...numbers(0, 0.1), ...numbers(1)], true)).toBe(false);
  expect(agrees(zeros, [...numbers(0, 0), ...numbers(2)], true)).toBe(false);
});

it("tells what is no number", () => {
  expect(areFinite([...numbers(0, 1), ...numbers(2)])).toBe(true);
  expect(areFinite([...numbers(0, 1), ...numbers(Infinity)])).toBe(false);
  expect(areFinite(numbers(NaN))).toBe(false);
});
