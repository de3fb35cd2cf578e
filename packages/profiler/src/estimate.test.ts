import { PagePool, RaggedRows } from "@winnow/core-tensor";
import { adaptive, fixed, fullPreset, parsePolicy, sinkRecent } from "@winnow/kv-policies";
import fc from "fast-check";
import { expect, test } from "vitest";

import { estimateCache } from "./estimate";

const shape = { layers: 3, kvHeads: 2, headDim: 16, pageSlots: 8, kvType: "f32" } as const;

test("the full cache is what a page pool would hand out", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 4 }), (tokens, batch) => {
      const pool = new PagePool(4, { slabNeeded: () => undefined, slabEmpty: () => undefined });
      const rows = new RaggedRows(pool, shape.layers * shape.kvHeads * batch, shape.pageSlots);
      for (let row = 0; row < rows.rowCount; row++) rows.resize(row, tokens);
      const pageBytes = 2 * shape.pageSlots * shape.headDim * 4;
      expect(estimateCache(shape, fullPreset(), tokens, batch).fullBytes).toBe(pool.livePages * pageBytes);
    }),
  );
});

test.each([
  ["f32", 64],
  ["f16", 32],
  ["q8", 20],
] as const)("in %s a key takes %i bytes, and columns stay f32", (kvType, keyBytes) => {
  const found = estimateCache({ ...shape, kvType }, sinkRecent(4, 10), 100);
  expect(found).toMatchObject({
    bytesPerToken: 3 * 2 * 2 * keyBytes,
    fullBytes: 3 * 2 * 104 * 2 * keyBytes,
    mostBytes: 3 * 2 * 16 * (2 * keyBytes + 4),
  });
});

test("heads that the type does not allow are refused", () => {
  expect(() => estimateCache({ ...shape, headDim: 6, kvType: "q8" }, fullPreset(), 10)).toThrow(/q8.*multiple of four/);
});

test("a policy without scores is exact", () => {
  // sink(4) | recent(10): at most 14 slots in 2 pages of 8, with positions beside them.
  const estimate = estimateCache(shape, sinkRecent(4, 10), 100);
  expect(estimate.mostBytes).toBe(3 * 2 * 16 * (2 * 16 * 4 + 4));
});

test("a search is bounded by its least and its most generous candidate", () => {
  const estimate = estimateCache(shape, adaptive(), 1000);
  expect(estimate.leastBytes).toBeLessThan(estimate.fullBytes / 20);
  expect(estimate.mostBytes).toBeGreaterThanOrEqual(estimate.fullBytes);
});

test.each(["special", "!special", "sink(3) & recent(2)", "full - sink(2)", "limit(full, 5, by mass)", "every(4, 1)"])(
  "bounds of %s are in order",
  (text) => {
    const estimate = estimateCache(shape, fixed("x", text, "", parsePolicy(text)), 50);
    expect(estimate.leastBytes).toBeLessThanOrEqual(estimate.mostBytes);
  },
);

test("a length of no tokens is refused", () => {
  expect(() => estimateCache(shape, fullPreset(), 0)).toThrow(/tokens is 0/);
});
