import { expect, test } from "vitest";

import { fitLine } from "./fit";
import { spreadOf } from "./spread";
import { StepClock } from "./step-clock";

test("a spread has the middle and both ends", () => {
  expect(spreadOf([3, 1, 10])).toEqual({ median: 3, least: 1, most: 10 });
  expect(spreadOf([])).toBeNull();
});

test("a line is fitted with the least squares", () => {
  const exact = fitLine([0, 2, 5].map((x) => ({ x, y: 4 + 3 * x })));
  expect(exact.at0).toBeCloseTo(4);
  expect(exact.slope).toBeCloseTo(3);
  const [a, b, c] = [
    { x: 0, y: 0 },
    { x: 1, y: 2 },
    { x: 2, y: 1 },
  ];
  const fitted = fitLine([a, b, c]);
  expect(fitted.slope).toBeCloseTo(0.5);
  expect(fitted.at0).toBeCloseTo(0.5);
});

test("a step is over when every answer has a token, and the first three do not count", () => {
  let now = 0;
  const clock = new StepClock(2, 5, () => now);
  for (let token = 0; !clock.done; token++) {
    now += 1 + token;
    clock.note();
  }
  // Steps are tokens 0 and 1, 2 and 3, and so on.
  expect(clock.times).toEqual([15, 19, 23, 27, 31]);
});

test("slow steps are fewer", () => {
  let now = 0;
  const clock = new StepClock(1, 16, () => now);
  while (!clock.done) {
    now += 1000;
    clock.note();
  }
  expect(clock.times).toHaveLength(5);
});
