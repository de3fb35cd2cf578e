import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { holm } from "./holm";
import { pairedDifference } from "./paired";
import { wilson } from "./wilson";

describe("wilson", () => {
  test.each([
    // Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])("of %i in %i", (right, count, low, high) => {
    const found = wilson(right / count, count);
    expect(found.low).toBeCloseTo(low, 4);
    expect(found.high).toBeCloseTo(high, 4);
  });
});

describe("a paired difference", () => {
  const binary = (better: number, worse: number, same: number) => {
    const pairs = [...Array<number>(better).fill(1), ...Array<number>(worse).fill(-1), ...Array<number>(same).fill(0)];
    return pairedDifference(
      pairs.map((x) => Math.max(0, x)),
      pairs.map((x) => Math.max(0, -x)),
    );
  };

  test.each([
    // A fair coin's tail: 2 · Σ_{k ≤ least} C(n, k) / 2ⁿ.
    [0, 5, 2 / 32],
    [1, 9, (2 * 11) / 1024],
    [6, 6, 1],
    [0, 0, 1],
  ])("of %i better and %i worse has McNemar's exact p", (better, worse, p) => {
    expect(binary(better, worse, 50).p).toBeCloseTo(p, 10);
  });

  test("turns round with its sides, and its interval holds the mean", () => {
    const scores = fc.array(
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
      {
        minLength: 1,
        maxLength: 30,
      },
    );
    fc.assert(
      fc.property(scores, (pairs) => {
        const a = pairs.map(([x]) => x);
        const b = pairs.map(([, x]) => x);
        const there = pairedDifference(a, b);
        const back = pairedDifference(b, a);
        expect(there.mean).toBeCloseTo(-back.mean, 12);
        expect(there.p).toBe(back.p);
        expect(there.low).toBeLessThanOrEqual(there.mean + 1e-12);
        expect(there.high).toBeGreaterThanOrEqual(there.mean - 1e-12);
      }),
      { numRuns: 20 },
    );
  });

  test("has the normal interval and p where there are many", () => {
    // 400 differences with mean 0.05 and standard deviation 0.5: z = 2.
    const differences = Array.from({ length: 400 }, (_, i) => 0.05 + (i % 2 === 0 ? 0.5 : -0.5));
    const found = pairedDifference(
      differences,
      differences.map(() => 0),
    );
    expect(found.mean).toBeCloseTo(0.05, 10);
    expect(found.low).toBeCloseTo(0.05 - 1.96 * 0.025, 2);
    expect(found.high).toBeCloseTo(0.05 + 1.96 * 0.025, 2);
    expect(Math.abs(found.p - 0.0455)).toBeLessThan(0.01);
  });
});

test("Holm's correction, on his own terms", () => {
  [0.04, 0.08, 0.08, 0.04].forEach((p, i) => {
    expect(holm([0.01, 0.04, 0.06, 0.01])[i]).toBeCloseTo(p, 12);
  });
  expect(holm([])).toEqual([]);
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }), (values) => {
      const corrected = holm(values);
      corrected.forEach((p, i) => {
        expect(p).toBeGreaterThanOrEqual(values[i] ?? NaN);
        expect(p).toBeLessThanOrEqual(1);
      });
      // Never stricter than Bonferroni.
      corrected.forEach((p, i) => {
        expect(p).toBeLessThanOrEqual(Math.min(1, (values[i] ?? NaN) * values.length) + 1e-12);
      });
    }),
  );
});
