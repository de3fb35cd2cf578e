import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { PagePool } from "./page-pool";
import { RaggedRows } from "./ragged";

/** What a pool's listener heard, as the set of slabs that exist; it checks that events alternate. */
class Slabs {
  readonly live = new Set<number>();
  refuse = false;

  slabNeeded(slab: number): void {
    if (this.refuse) throw new Error("no memory");
    expect(this.live.has(slab)).toBe(false);
    this.live.add(slab);
  }

  slabEmpty(slab: number): void {
    expect(this.live.delete(slab)).toBe(true);
  }
}

/** The slabs that hold any of these pages. */
function slabsOf(pages: Iterable<number>, pagesPerSlab: number): Set<number> {
  return new Set(Array.from(pages, (page) => Math.floor(page / pagesPerSlab)));
}

describe("PagePool", () => {
  it("takes the lowest free page of the slabs there are, says which it will make, and keeps one while a page is taken", () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.constant({ kind: "allocate" } as const) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant("free" as const), which: fc.nat() }) },
      { weight: 1, arbitrary: fc.constant({ kind: "refused" } as const) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.array(step, { maxLength: 300 }), (pagesPerSlab, history) => {
        const slabs = new Slabs();
        const pool = new PagePool(pagesPerSlab, slabs);
        const taken = new Set<number>();
        const lowest = (): number => {
          const places = Array.from({ length: pagesPerSlab }, (_, place) => place);
          for (const slab of [...slabs.live].sort((x, y) => x - y)) {
            const place = places.find((free) => !taken.has(slab * pagesPerSlab + free));
            if (place !== undefined) return slab * pagesPerSlab + place;
          }
          let missing = 0;
          while (slabs.live.has(missing)) missing++;
          return missing * pagesPerSlab;
        };
        for (const event of history) {
          if (event.kind === "free") {
            const page = [...taken][event.which % Math.max(1, taken.size)];
            if (page === undefined) continue;
            pool.free(page);
            taken.delete(page);
          } else {
            const page = lowest();
            slabs.refuse = event.kind === "refused";
            if (slabs.refuse && !slabs.live.has(Math.floor(page / pagesPerSlab)))
              expect(() => pool.allocate()).toThrow("no memory");
            else {
              expect(pool.allocate()).toBe(page);
              taken.add(page);
            }
          }
          expect(pool.livePages).toBe(taken.size);
          expect(slabs.live).toEqual(slabsOf(taken, pagesPerSlab));
          expect(pool.liveSlabs).toBe(slabs.live.size);
        }
        for (const page of taken) pool.free(page);
        expect([pool.livePages, pool.liveSlabs, slabs.live.size]).toEqual([0, 0, 0]);
      }),
      { numRuns: 60 },
    );
  });

  it("says which slabs it would make for more pages", () => {
    const history = fc.array(fc.record({ take: fc.nat(40), free: fc.array(fc.nat(), { maxLength: 40 }) }), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), history, (pagesPerSlab, rounds) => {
        const slabs = new Slabs();
        const pool = new PagePool(pagesPerSlab, slabs);
        const taken: number[] = [];
        for (const { take, free } of rounds) {
          const before = new Set(slabs.live);
          const expected = pool.slabsFor(take);
          for (let i = 0; i < take; i++) taken.push(pool.allocate());
          const made = [...slabs.live].filter((slab) => !before.has(slab));
          expect(made.sort((x, y) => x - y)).toEqual(expected);
          for (const which of free)
            taken.splice(which % Math.max(1, taken.length), 1).forEach((page) => {
              pool.free(page);
            });
        }
      }),
    );
  });

  it("names a page that is not in use", () => {
    const pool = new PagePool(4, new Slabs());
    pool.allocate();
    expect(() => {
      pool.free(1);
    }).toThrow("page 1");
    expect(() => new PagePool(0, new Slabs())).toThrow("slab of 0 pages");
  });
});

describe("RaggedRows", () => {
  it("holds just the pages that its lengths need, and shares none", () => {
    const step = fc.record({ row: fc.nat(4), length: fc.nat(100), refused: fc.boolean() });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(step, { maxLength: 80 }),
        (pagesPerSlab, slotsPerPage, history) => {
          const slabs = new Slabs();
          const pool = new PagePool(pagesPerSlab, slabs);
          const ragged = new RaggedRows(pool, 5, slotsPerPage);
          const lengths = [0, 0, 0, 0, 0];
          for (const { row, length, refused } of history) {
            const before = [...ragged.pages(row)];
            slabs.refuse = refused;
            let failed = false;
            let changed = false;
            try {
              changed = ragged.resize(row, length);
            } catch {
              failed = true;
            }
            slabs.refuse = false;
            const pages = ragged.pages(row);
            if (failed) expect(pages).toEqual(before);
            else {
              lengths[row] = length;
              // Pages that stay keep their places, so that what lies in them does.
              const common = Math.min(before.length, pages.length);
              expect(pages.slice(0, common)).toEqual(before.slice(0, common));
              expect(changed).toBe(pages.length !== before.length);
            }
            const all = lengths.flatMap((_, r) => ragged.pages(r));
            expect(lengths.map((_, r) => ragged.length(r))).toEqual(lengths);
            expect(lengths.map((_, r) => ragged.pages(r).length)).toEqual(
              lengths.map((slots) => Math.ceil(slots / slotsPerPage)),
            );
            expect(new Set(all).size).toBe(all.length);
            expect([ragged.pageCount, pool.livePages]).toEqual([all.length, all.length]);
            expect(slabs.live).toEqual(slabsOf(all, pagesPerSlab));
          }
          ragged[Symbol.dispose]();
          expect([pool.livePages, slabs.live.size]).toEqual([0, 0]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("names a row that is not there, and a length that is none", () => {
    const ragged = new RaggedRows(new PagePool(4, new Slabs()), 2, 16);
    expect(() => ragged.pages(2)).toThrow("row 2 of a ragged tensor of 2 rows");
    expect(() => ragged.resize(0, -1)).toThrow("length of -1");
    expect(() => ragged.resize(0, 1.5)).toThrow("length of 1.5");
  });
});
