import { createCpuBackend } from "@winnow/core-tensor";
import fc from "fast-check";
import { expect, test } from "vitest";

import { ColumnPool } from "./column-pool";
import { KvBudget } from "./kv-budget";

const PAGE_SLOTS = 8;
const PAGE_BYTES = PAGE_SLOTS * 4;

/** Take so many pages, or give so many back, from the newest or the oldest on. */
const moves = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("take" as const), count: fc.integer({ min: 1, max: 900 }) }),
    fc.record({
      kind: fc.constantFrom("giveNewest" as const, "giveOldest" as const),
      count: fc.integer({ min: 1, max: 900 }),
    }),
  ),
  { maxLength: 12 },
);

test("pages keep what is in them while the buffer grows and shrinks, and it is never much larger than they need", async () => {
  await fc.assert(
    fc.asyncProperty(moves, async (history) => {
      using backend = createCpuBackend();
      using pool = new ColumnPool(backend, PAGE_SLOTS, new KvBudget(backend, Infinity));
      const held: { readonly page: number; readonly mark: number }[] = [];
      let marks = 0;
      for (const { kind, count } of history) {
        if (kind === "take") {
          const asked = pool.bytesFor(count);
          const before = pool.reservedBytes;
          backend.memory.resetPeak();
          for (let i = 0; i < count; i++) {
            const page = pool.pages.allocate();
            const mark = ++marks;
            const [place] = pool.locate([page]);
            if (place !== undefined) backend.write(place.slab, new Float32Array(PAGE_SLOTS).fill(mark), place.offset);
            held.push({ page, mark });
          }
          expect(backend.memory.snapshot().peak - before).toBe(asked);
        } else {
          const gone = kind === "giveNewest" ? held.splice(-count) : held.splice(0, count);
          for (const { page } of gone) pool.pages.free(page);
        }
        const contents = pool.buffer === null ? new Float32Array(0) : await backend.download(pool.buffer);
        for (const { page, mark } of held) {
          expect(contents.subarray(page * PAGE_SLOTS, (page + 1) * PAGE_SLOTS)).toEqual(
            new Float32Array(PAGE_SLOTS).fill(mark),
          );
        }
        const needed = held.reduce((most, { page }) => Math.max(most, page + 1), 0);
        expect(pool.reservedBytes).toBe(backend.memory.snapshot().kv);
        expect(pool.reservedBytes).toBeGreaterThanOrEqual(needed * PAGE_BYTES);
        // Chunks of 256 pages, a quarter of growth, and what has not shrunk yet.
        expect(pool.reservedBytes).toBeLessThanOrEqual(((needed + 256) / 0.6 + 256) * PAGE_BYTES);
        if (held.length === 0) expect(pool.reservedBytes).toBe(0);
      }
    }),
    { numRuns: 30 },
  );
});
