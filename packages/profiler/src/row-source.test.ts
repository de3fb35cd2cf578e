import fc from "fast-check";
import { expect, test } from "vitest";

import { profiledRows } from "./row-source";

test.each([
  { source: "prompt", prompt: 100, probe: 0, range: [0, 100], actual: "prompt" },
  { source: "late", prompt: 100, probe: 0, range: [68, 100], actual: "late" },
  { source: "late", prompt: 1000, probe: 0, range: [875, 1000], actual: "late" },
  { source: "late", prompt: 5, probe: 0, range: [0, 5], actual: "late" },
  { source: "probe", prompt: 100, probe: 40, range: [92, 140], actual: "probe" },
  { source: "probe", prompt: 3, probe: 2, range: [0, 5], actual: "probe" },
] as const)("$source rows of $prompt and $probe", ({ source, prompt, probe, range, actual }) => {
  const rows = profiledRows(source, prompt, probe);
  expect(rows.ranges).toEqual([{ start: range[0], end: range[1], stride: 1 }]);
  expect(rows.source).toBe(actual);
  expect(rows.note).toBeNull();
});

test("without a probe that fits the rows are late ones, and the report says so", () => {
  expect(profiledRows("probe", 1024, 0)).toMatchObject({
    source: "late",
    note: expect.stringContaining("no probe fits") as string,
  });
});

test("the count is that of the ranges", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("prompt", "late", "probe"),
      fc.integer({ min: 1, max: 5000 }),
      fc.nat(5000),
      (source, prompt, probe) => {
        const { ranges, count } = profiledRows(source, prompt, probe);
        expect(ranges.reduce((sum, { start, end }) => sum + end - start, 0)).toBe(count);
        expect(count).toBeGreaterThan(0);
      },
    ),
  );
});
