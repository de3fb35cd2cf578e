import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { fallingKeys, stableOrder } from "./stable-order";

describe("stableOrder", () => {
  it("sorts by keys, and leaves equal ones and the given list as they are", () => {
    const key = fc.oneof(fc.nat(5), fc.integer({ min: 0, max: 0xffffffff }));
    fc.assert(
      fc.property(fc.array(key), (keys) => {
        const order = Uint32Array.from(keys, (_, i) => keys.length - 1 - i);
        const before = Array.from(order);
        const expected = [...before].sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0));
        expect(Array.from(stableOrder(order, Uint32Array.from(keys)))).toEqual(expected);
        expect(Array.from(order)).toEqual(before);
      }),
    );
  });
});

describe("fallingKeys", () => {
  it("are ordered as falling scores, equal where scores are", () => {
    const score = fc.oneof(fc.float(), fc.constantFrom(0, -0, NaN, Infinity, -Infinity, 1, -1));
    fc.assert(
      fc.property(score, score, (a, b) => {
        const [keyA, keyB] = fallingKeys(Float32Array.of(a, b));
        const [x, y] = [a, b].map((of) => (Number.isNaN(of) ? -Infinity : of));
        const compare = (p = 0, q = 0): number => Math.sign(p === q ? 0 : p > q ? 1 : -1);
        expect(compare(keyA, keyB)).toBe(compare(y, x));
      }),
      { numRuns: 1000 },
    );
  });
});
