import { STORED_COLUMNS, createCpuBackend, rows } from "@winnow/core-tensor";
import * as fc from "fast-check";
import { expect, it } from "vitest";

import { KvStore } from "./kv-store";
import { LayerCache } from "./layer-cache";

const CONTEXT = 200;
const PAGE_SLOTS = 8;
const heads = { queryHeads: 2, kvHeads: 2, headDim: 4 };
const layout = { kvType: "f32", layers: 1, windows: [null], heads, pageSlots: PAGE_SLOTS, context: CONTEXT } as const;

const cache = fc.nat(1);
const head = fc.nat(heads.kvHeads - 1);
const act = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("grow" as const), cache, count: fc.integer({ min: 1, max: 9 }) }),
  },
  fc.record({ kind: fc.constant("resize" as const), cache, head, length: fc.integer({ min: 0, max: 90 }) }),
  fc.record({ kind: fc.constant("columns" as const), cache, head, stored: fc.subarray([...STORED_COLUMNS]) }),
  fc.record({ kind: fc.constant("pending" as const), cache, pending: fc.boolean() }),
  fc.record({ kind: fc.constant("reopen" as const), cache }),
);

it("shows operations the cache as it is, whatever it and others on the same pages have been through", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      using backend = createCpuBackend();
      using store = new KvStore(backend, layout);
      const [pool] = store.layers;
      if (pool === undefined) throw new RangeError("a store of one layer has none");
      const shape = [heads.kvHeads, STORED_COLUMNS.length, Math.ceil(CONTEXT / PAGE_SLOTS)];
      const table = backend.allocate("u32", shape, { label: "columns", category: "kv" });
      const caches = [0, 1].map(() => {
        const made = new LayerCache(backend, store, pool);
        made.open(rows(table));
        return made;
      });
      for (const done of acts) {
        const changed = caches[done.cache];
        if (changed === undefined) continue;
        if (done.kind === "grow" && changed.longest + done.count <= CONTEXT) changed.grow(done.count);
        if (done.kind === "resize") changed.resize(done.head, done.length);
        if (done.kind === "columns") changed.setColumns(done.head, done.stored);
        if (done.kind === "pending") changed.pending = done.pending;
        if (done.kind === "reopen") {
          changed.close();
          changed.open(rows(table));
        }
        for (const cache of caches) {
          const { paged } = cache;
          expect(cache.paged).toBe(paged);
          expect(paged.pending).toBe(cache.pending);
          expect(paged.columns).toBe(store.columns.buffer);
          expect([paged.table, paged.lengths].some(({ disposed }) => disposed)).toBe(false);
          expect(paged.slabs.some((slab) => slab?.disposed === true)).toBe(false);
          cache.lengths.forEach((length, head) => {
            expect(paged.bounds[head]).toBeGreaterThanOrEqual(length);
            expect(paged.bounds[head]).toBeLessThanOrEqual(Math.ceil(CONTEXT / PAGE_SLOTS) * PAGE_SLOTS);
            for (const { slab } of cache.kvPlaces(head)) expect(paged.slabs).toContain(slab);
          });
        }
      }
      for (const cache of caches) cache.close();
      table[Symbol.dispose]();
    }),
    { numRuns: 200 },
  );
});
