import { expect } from "vitest";

import type { Tolerance } from "./tolerances";

declare module "vitest" {
  interface Matchers<T> {
    /**
     * Every number within the tolerance of the expected one; equal infinities and two NaNs are close.
     *
     * @example expect(logits).toBeAllclose([0.5, 1], { rtol: 1e-5, atol: 1e-8 })
     */
    toBeAllclose(expected: ArrayLike<number>, tolerance: Tolerance): T;
  }
}

/** Make `toBeAllclose` known to vitest's `expect`; calling it again changes nothing. */
export function registerMatchers(): void {
  expect.extend({
    toBeAllclose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: Tolerance) {
      const reason = difference(found, expected, tolerance);
      return {
        pass: reason === null,
        message: () => reason ?? `every one of ${expected.length} numbers is close, and some should differ`,
      };
    },
  });
}

/** The place where two lists differ most, in words; null where they are close. */
export function difference(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  { rtol, atol }: Tolerance,
): string | null {
  if (found.length !== expected.length) return `${found.length} numbers, expected ${expected.length}`;
  let worst = -1;
  let excess = 0;
  let outside = 0;
  for (let i = 0; i < expected.length; i++) {
    const a = found[i] ?? NaN;
    const b = expected[i] ?? NaN;
    if (Object.is(a, b) || a === b) continue;
    const beyond = Math.abs(a - b) - atol - rtol * Math.abs(b);
    if (beyond <= 0) continue;
    outside++;
    // A NaN or an infinity on one side only is as far off as can be.
    const by = Number.isFinite(beyond) ? beyond : Infinity;
    if (worst === -1 || by > excess) {
      worst = i;
      excess = by;
    }
  }
  if (worst === -1) return null;
  return (
    `${outside} of ${expected.length} numbers are not within rtol ${rtol}, atol ${atol}; the worst is number ${worst}: ` +
    `${found[worst] ?? NaN}, expected ${expected[worst] ?? NaN}`
  );
}
