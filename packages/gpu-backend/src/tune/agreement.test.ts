import { expect, it } from "vitest";

import { agrees } from "./agreement";

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
