import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { STORED_COLUMNS, WAITING, type SelectSlots, type StoredColumn } from "../../backend";
import { randomUnit } from "../../expr";
import { at } from "../fixture";
import { PagedFixture } from "../paged-fixture";
import { keepBits, slotTableOf } from "../slot-table";
import type { SuiteContext } from "../suite-context";

/** More slots than a workgroup has threads. */
const MOST_SLOTS = 300;
const CAPACITY = 310;
const WEIGHED = ["mass", "maxWeight", "windowMass", "lastMass", "lastMaxWeight"] as const;

const head = fc.record({
  count: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: MOST_SLOTS })),
  columns: fc.subarray<StoredColumn>([...STORED_COLUMNS]),
  /** Of how many slots one is dropped; 0 for none. */
  drops: fc.integer({ min: 0, max: 3 }),
});

const scene = fc.record({
  heads: fc.array(head, { minLength: 1, maxLength: 5 }),
  column: fc.constantFrom(...WEIGHED),
  pending: fc.boolean(),
  seed: fc.integer({ min: 1, max: 1e6 }),
});

/** How much of a column a selection drops. */
export function weighSuite(context: SuiteContext): void {
  describe("weigh", () => {
    const weighed = async (
      slots: SelectSlots,
      column: (typeof WEIGHED)[number],
      kept: readonly (readonly boolean[])[],
    ): Promise<number[]> => {
      const { backend, fixture } = context;
      const sums = fixture.f32([kept.length, 2], new Array<number>(2 * kept.length).fill(7));
      backend.weigh({ slots, column, keep: keepBits(fixture, kept, CAPACITY), sums });
      return await fixture.read(sums);
    };

    it("adds up what is not kept, and all, of slots in pages and of a table's", async () => {
      await fc.assert(
        fc.asyncProperty(scene, async ({ heads, column, pending, seed }) => {
          const { fixture } = context;
          const slots = heads.map(({ count }, h) =>
            Array.from({ length: count }, (_, s) => ({
              key: new Array<number>(context.headDim).fill(0),
              value: new Array<number>(context.headDim).fill(0),
              position: s,
              columns: Object.fromEntries(
                WEIGHED.map((name, c) => [name, Math.fround(randomUnit(seed, 10 * h + c, s))] as const),
              ),
            })),
          );
          const kept = heads.map(({ count, drops }, h) =>
            Array.from(
              { length: count },
              (_, s) => drops === 0 || Math.floor(4 * randomUnit(seed, 100 + h, s)) >= drops,
            ),
          );
          const waiting = pending ? WAITING[column] : undefined;
          const valueOf = (h: number, s: number): number => {
            const { columns } = at(heads, h);
            if (!columns.includes(column)) return 0;
            const stored = at(at(slots, h), s).columns;
            const value = stored[column] ?? 0;
            if (waiting === undefined || !columns.includes(waiting.column)) return value;
            const more = stored[waiting.column] ?? 0;
            return waiting.reduce === "sum" ? value + more : Math.max(value, more);
          };
          const expected = slots.flatMap((row, h) => {
            const sum = (of: (s: number) => boolean): number =>
              row.reduce((total, _, s) => total + (of(s) ? valueOf(h, s) : 0), 0);
            return [sum((s) => kept[h]?.[s] !== true), sum(() => true)];
          });
          const cache = new PagedFixture(
            fixture,
            slots.map((row, h) => ({ slots: row, columns: at(heads, h).columns })),
            { headDim: context.headDim, pageSlots: 8, capacity: MOST_SLOTS, seed, pending },
          );
          const inPages = await weighed(cache.slots(CAPACITY), column, kept);
          expect(inPages).toBeAllclose(expected, context.tolerance);
          const table = slotTableOf(
            fixture,
            slots.map((row, h) => ({
              position: row.map(({ position }) => position),
              flags: row.map(() => 0),
              columns: { [column]: row.map((_, s) => Math.fround(valueOf(h, s))) },
            })),
            CAPACITY,
            [column],
          );
          expect(await weighed(table, column, kept)).toBeAllclose(expected, context.tolerance);
          // The sums depend on a head's slots alone, whichever pages they lie in and whoever is beside it.
          const alone = new PagedFixture(fixture, [{ slots: at(slots, 0), columns: at(heads, 0).columns }], {
            headDim: context.headDim,
            pageSlots: 16,
            capacity: MOST_SLOTS,
            seed: seed + 1,
            pending,
          });
          expect(await weighed(alone.slots(CAPACITY), column, kept.slice(0, 1))).toEqual(inPages.slice(0, 2));
        }),
        context.runs,
      );
    });

    it("gives 0 where nobody stores the column", async () => {
      const { fixture } = context;
      const kept = [[true, false, true], [false]];
      const rows = kept.map((row) => ({ position: row.map((_, s) => s), flags: row.map(() => 0), columns: {} }));
      expect(await weighed(slotTableOf(fixture, rows, CAPACITY, []), "lastMass", kept)).toEqual([0, 0, 0, 0]);
      const columnTable = fixture.u32([2, STORED_COLUMNS.length, 1], new Array<number>(12).fill(0xffffffff));
      const paged: SelectSlots = {
        kind: "pages",
        rowCount: 2,
        capacity: CAPACITY,
        counts: [3, 1],
        flags: fixture.u32([1]),
        pageSlots: 8,
        columns: null,
        columnTable,
        pending: false,
      };
      expect(await weighed(paged, "lastMass", kept)).toEqual([0, 0, 0, 0]);
    });

    it("names a shape that does not fit", async () => {
      const { backend, fixture } = context;
      const slots = slotTableOf(fixture, [{ position: [0], flags: [0], columns: {} }], CAPACITY, []);
      backend.weigh({
        slots,
        column: "lastMass",
        keep: keepBits(fixture, [[true]], CAPACITY),
        sums: fixture.f32([1]),
      });
      await expect(backend.flush()).rejects.toMatchObject({
        code: "shape",
        message: expect.stringContaining("sums") as unknown,
      });
    });
  });
}
