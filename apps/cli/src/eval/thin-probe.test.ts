import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { thinProbe } from "./thin-probe";

describe("a thinned probe", () => {
  test("replays about its share of the text, in order, from all over it", () => {
    const share = fc.double({ min: 0.05, max: 0.99, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), share, (length, part) => {
        const subject = Array.from({ length }, (_, i) => i);
        const thinned = thinProbe({ kind: "replay", request: [7], subject }, part);
        if (thinned?.kind !== "replay") throw new Error("no replay");
        expect(thinned.request).toEqual([7]);
        const { subject: left } = thinned;
        expect(left).toEqual([...new Set(left)].sort((a, b) => a - b));
        expect(Math.abs(left.length - part * length)).toBeLessThanOrEqual(1 + (part * length) / 32 + 1);
        if (left.length > 64) {
          const gaps = left.map((token, i) => token - (left[i - 1] ?? -1));
          expect(Math.max(...gaps)).toBeLessThanOrEqual(1.25 * (32 / part) + 1);
        }
      }),
    );
  });

  test("is the same where all of it is asked for, or where it replays nothing", () => {
    const probe = { kind: "replay", request: [1], subject: [2, 3] } as const;
    expect(thinProbe(probe, 1)).toBe(probe);
    const ids = { kind: "ids", ids: [1, 2] } as const;
    expect(thinProbe(ids, 0.5)).toBe(ids);
    expect(thinProbe(null, 0.5)).toBeNull();
  });
});
