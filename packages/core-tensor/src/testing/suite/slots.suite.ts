import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { COMPUTED_COLUMNS, STORED_COLUMNS, type StatisticsSpec, type StoredColumn } from "../../backend";
import { rows } from "../../device-tensor";
import { randomUnit } from "../../expr";
import { at, randomIntegers, randoms } from "../fixture";
import { naiveAttention, naiveKeyDiff, naiveLength } from "../naive";
import { PagedFixture, randomSlots, scratchOf, type Head, type Slot } from "../paged-fixture";
import { keepBits, slotTableOf } from "../slot-table";
import type { SuiteContext } from "../suite-context";

const CAPACITY = 48;
const VALUES = ["mass", "maxWeight", "windowMass", "lastMass", "lastMaxWeight"] as const;

/** A layer's heads with some columns and gaps in their positions, and scratch rows behind them. */
const scenesOf = ({ halves }: SuiteContext) =>
  fc
    .record({
      kvHeads: fc.integer({ min: 1, max: 3 }),
      half: halves,
      kept: fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 3, maxLength: 3 }),
      fresh: fc.integer({ min: 0, max: 15 }),
      start: fc.integer({ min: 0, max: 3 }),
      columns: fc.array(fc.subarray([...STORED_COLUMNS]), { minLength: 3, maxLength: 3 }),
      seed: fc.integer({ min: 1, max: 1e6 }),
    })
    .map(({ kvHeads, half, kept, fresh, start, columns, seed }) => {
      const headDim = 2 * half;
      const heads: Head[] = Array.from({ length: kvHeads }, (_, head) => ({
        columns: at(columns, head),
        slots: randomSlots(seed + head, at(kept, head), headDim).map((slot) => ({
          ...slot,
          // Without the column nothing was ever dropped, and position and slot agree.
          position: at(columns, head).includes("position") ? 3 * slot.position + head : slot.position,
          columns: Object.fromEntries(
            VALUES.map((name, c) => [name, Math.fround(randomUnit(seed, head * 4 + c, slot.position))]),
          ),
        })),
      }));
      const scratch = Array.from({ length: kvHeads }, (_, head) =>
        randomSlots(seed + 10 + head, start + fresh, headDim),
      );
      const positions = Array.from({ length: start + fresh }, (_, i) => 70 + i);
      const flags = randomIntegers(seed, 100, 8);
      return {
        heads,
        scratch,
        positions,
        flags,
        fresh,
        start,
        headDim,
        kvHeads,
        seed,
        shape: { queryHeads: kvHeads, kvHeads, headDim },
      };
    });

/** Columns of a slot that the head really stores. */
function storedOf(slot: Slot, columns: readonly StoredColumn[]): Partial<Record<StoredColumn, number>> {
  return Object.fromEntries(
    VALUES.flatMap((name) => (columns.includes(name) ? [[name, slot.columns[name] ?? 0]] : [])),
  );
}

/** The slot table that a layer fills, and the moves that follow a selection over it. */
export function slotsSuite(context: SuiteContext): void {
  const scenes = scenesOf(context);
  describe("statistics", () => {
    it("fills rows with kept slots, then scratch rows", async () => {
      await fc.assert(
        fc.asyncProperty(
          scenes,
          async ({ heads, scratch, positions, flags, fresh, start, headDim, kvHeads, seed, shape }) => {
            const { backend, fixture } = context;
            const pending = seed % 2 === 0;
            const cache = new PagedFixture(fixture, heads, {
              headDim,
              pageSlots: 8,
              capacity: CAPACITY,
              seed,
              pending,
            });
            const firstRow = 2;
            const names = [...VALUES, ...COMPUTED_COLUMNS, "novelty"];
            const empty = Array.from({ length: firstRow + kvHeads }, () => ({ position: [], flags: [], columns: {} }));
            const into = slotTableOf(fixture, empty, CAPACITY, names);
            const recorded = {
              mass: randoms(seed + 5, kvHeads * CAPACITY),
              maxWeight: randoms(seed + 6, kvHeads * CAPACITY),
              windowMass: randoms(seed + 7, kvHeads * CAPACITY),
            };
            backend.statistics({
              heads: shape,
              paged: cache.kv,
              ...(fresh === 0 ? {} : { scratch: { kv: scratchOf(fixture, scratch, headDim), start, count: fresh } }),
              positions: fixture.u32([positions.length], positions),
              flags: fixture.u32([100], flags),
              recorded: [
                { name: "mass", reduce: "sum", from: fixture.f32([kvHeads, CAPACITY], recorded.mass) },
                { name: "maxWeight", reduce: "max", from: fixture.f32([kvHeads, CAPACITY], recorded.maxWeight) },
                { name: "windowMass", reduce: "replace", from: fixture.f32([kvHeads, CAPACITY], recorded.windowMass) },
              ],
              into,
              firstRow,
            });
            const counts = await fixture.read(into.counts);
            const position = await fixture.read(into.position);
            const tableFlags = await fixture.read(into.flags);
            const columns = new Map<string, number[]>();
            for (const [name, tensor] of Object.entries(into.columns)) columns.set(name, await fixture.read(tensor));
            expect(counts.slice(0, firstRow)).toEqual([0, 0]);
            heads.forEach(({ slots: kept, columns: stored }, head) => {
              const slots = [
                ...kept.map((slot) => ({ ...slot, columns: storedOf(slot, stored) })),
                ...at(scratch, head)
                  .slice(start)
                  .map((slot, i) => ({ ...slot, position: at(positions, start + i), columns: {} })),
              ];
              const base = (firstRow + head) * CAPACITY;
              const part = (list: readonly number[]): number[] => list.slice(base, base + slots.length);
              const found = (name: string): number[] => part(columns.get(name) ?? []);
              const seen = (name: keyof typeof recorded, c: number): number => at(recorded[name], head * CAPACITY + c);
              const has = (slot: Slot, name: StoredColumn): number => slot.columns[name] ?? 0;
              // What waits is added to what is stored, where the head stores both.
              const waiting = (slot: Slot, into: StoredColumn, name: StoredColumn): number =>
                pending && into in slot.columns ? has(slot, name) : 0;
              expect(counts[firstRow + head]).toBe(slots.length);
              expect(part(position)).toEqual(slots.map((slot) => slot.position));
              expect(part(tableFlags)).toEqual(slots.map((slot) => at(flags, slot.position)));
              expect(found("mass")).toBeAllclose(
                slots.map((slot, c) => has(slot, "mass") + waiting(slot, "mass", "lastMass") + seen("mass", c)),
                context.tolerance,
              );
              expect(found("maxWeight")).toEqual(
                slots.map((slot, c) =>
                  Math.max(has(slot, "maxWeight"), waiting(slot, "maxWeight", "lastMaxWeight"), seen("maxWeight", c)),
                ),
              );
              expect(found("windowMass")).toEqual(slots.map((_, c) => seen("windowMass", c)));
              expect(found("lastMass")).toEqual(slots.map((slot) => has(slot, "lastMass")));
              expect(found("keyNorm")).toBeAllclose(
                slots.map((slot) => naiveLength(slot.key)),
                context.tolerance,
              );
              expect(found("valueNorm")).toBeAllclose(
                slots.map((slot) => naiveLength(slot.value)),
                context.tolerance,
              );
              expect(found("keyDiff")).toBeAllclose(naiveKeyDiff(slots.map((slot) => slot.key)), context.tolerance);
              expect(found("novelty")).toEqual(slots.map(() => 77));
            });
          },
        ),
        context.runs,
      );
    });

    it("computes the same bits wherever the pages lie", async () => {
      await fc.assert(
        fc.asyncProperty(
          scenes,
          fc.integer({ min: 1, max: 1e6 }),
          async ({ heads, scratch, positions, flags, fresh, start, headDim, kvHeads, seed, shape }, otherSeed) => {
            const { backend, fixture } = context;
            const computed = async (pageSeed: number): Promise<number[][]> => {
              const options = { headDim, pageSlots: 8, capacity: CAPACITY, seed: pageSeed };
              const empty = Array.from({ length: kvHeads }, () => ({ position: [], flags: [], columns: {} }));
              const into = slotTableOf(fixture, empty, CAPACITY, [...COMPUTED_COLUMNS]);
              backend.statistics({
                heads: shape,
                paged: new PagedFixture(fixture, heads, options).kv,
                ...(fresh === 0 ? {} : { scratch: { kv: scratchOf(fixture, scratch, headDim), start, count: fresh } }),
                positions: fixture.u32([positions.length], positions),
                flags: fixture.u32([100], flags),
                recorded: [],
                into,
                firstRow: 0,
              });
              return Promise.all(Object.values(into.columns).map((column) => fixture.read(column)));
            };
            expect(await computed(otherSeed)).toEqual(await computed(seed));
          },
        ),
        context.runs,
      );
    });

    it("refuses what does not fit", async () => {
      const { backend, fixture, headDim } = context;
      const heads = { queryHeads: 1, kvHeads: 1, headDim };
      const slots = randomSlots(1, 9, headDim);
      const cache = new PagedFixture(fixture, [{ slots, columns: [] }], {
        headDim,
        pageSlots: 8,
        capacity: 16,
        seed: 1,
      });
      const fill = (capacity: number, more: Partial<StatisticsSpec>): Promise<void> => {
        const into = slotTableOf(fixture, [{ position: [], flags: [], columns: {} }], capacity, ["mass"]);
        backend.statistics({
          heads,
          paged: cache.kv,
          flags: fixture.u32([9]),
          recorded: [],
          into,
          firstRow: 0,
          ...more,
        });
        return backend.flush();
      };
      const refused = { code: "shape", message: expect.stringContaining("statistics") as unknown };
      await expect(fill(8, {})).rejects.toMatchObject(refused);
      await expect(
        fill(16, { recorded: [{ name: "mass", reduce: "sum", from: fixture.f32([1, 8]) }] }),
      ).rejects.toMatchObject(refused);
      const kv = scratchOf(fixture, [slots], headDim);
      await expect(fill(32, { scratch: { kv, start: 0, count: 9 } })).rejects.toMatchObject(refused);
      await expect(fill(16, { firstRow: 1 })).rejects.toMatchObject({ ...refused, code: "range" });
      await fill(16, {});
    });
  });

  describe("compact and gather", () => {
    it("leave the kept slots, then the kept scratch rows, with the table's columns and else their own", async () => {
      await fc.assert(
        fc.asyncProperty(
          scenes,
          fc.subarray([...VALUES]),
          async ({ heads, scratch, positions, fresh, start, headDim, seed, shape }, given) => {
            const { backend, fixture } = context;
            const cache = new PagedFixture(fixture, heads, { headDim, pageSlots: 8, capacity: CAPACITY, seed });
            const firstRow = 1;
            /** Values that no cache stores, so that one that came from the table shows. */
            const fromTable = (head: number, c: number, column: number): number =>
              Math.fround(10 + randomUnit(seed, head * 5 + column, c));
            const tableRows = heads.map(({ slots }, head) => ({
              position: [...slots.map((slot) => slot.position), ...positions.slice(start)],
              flags: new Array<number>(slots.length + fresh).fill(0),
              columns: Object.fromEntries(
                given.map((name, i) => [
                  name,
                  Array.from({ length: slots.length + fresh }, (_, c) => fromTable(head, c, i)),
                ]),
              ),
            }));
            const table = slotTableOf(
              fixture,
              [{ position: [], flags: [], columns: {} }, ...tableRows],
              CAPACITY,
              given,
            );
            const kept = tableRows.map(({ position }, head) =>
              position.map((_, c) => randomUnit(seed + 1, head, c) < 0.6),
            );
            const keep = keepBits(fixture, [[], ...kept], CAPACITY);
            // Where no column comes from the table, it makes no difference whether there is one.
            const slots = given.length === 0 && seed % 2 === 0 ? cache.slots(CAPACITY, firstRow) : table;
            backend.compact({ heads: shape, paged: cache.kv, slots, keep, firstRow });
            const expectedSlots = heads.map(({ slots, columns }, head) =>
              slots.flatMap((slot, c) =>
                at(at(kept, head), c) ? [{ ...slot, columns: merged(slot, columns, head, c) }] : [],
              ),
            );
            function merged(slot: Slot, columns: readonly StoredColumn[], head: number, c: number) {
              const all = {
                ...slot.columns,
                ...Object.fromEntries(given.map((name, i) => [name, fromTable(head, c, i)])),
              };
              return storedOf({ ...slot, columns: all }, columns);
            }
            const compacted = await cache.read();
            compacted.forEach(({ slots, columns }, head) => {
              expect(slots.map(({ key, value }) => [key, value])).toEqual(
                at(expectedSlots, head).map(({ key, value }) => [key, value]),
              );
              expect(slots.map((slot) => slot.columns)).toEqual(at(expectedSlots, head).map((slot) => slot.columns));
              if (columns.includes("position")) {
                expect(slots.map((slot) => slot.position)).toEqual(
                  at(expectedSlots, head).map((slot) => slot.position),
                );
              }
            });

            backend.gather({
              heads: shape,
              scratch: scratchOf(fixture, scratch, headDim),
              start,
              count: fresh,
              paged: cache.kv,
              slots: table,
              keep,
              firstRow,
            });
            const gathered = await cache.read();
            gathered.forEach(({ slots, columns }, head) => {
              const before = at(heads, head).slots.length;
              const expected = [
                ...at(expectedSlots, head),
                ...at(scratch, head)
                  .slice(start)
                  .flatMap((slot, i) => {
                    const c = before + i;
                    const zeros = { ...slot, columns: {} };
                    return at(at(kept, head), c)
                      ? [{ ...slot, position: at(positions, start + i), columns: merged(zeros, columns, head, c) }]
                      : [];
                  }),
              ];
              expect(slots.map(({ key, value }) => [key, value])).toEqual(
                expected.map(({ key, value }) => [key, value]),
              );
              expect(slots.map((slot) => slot.columns)).toEqual(expected.map((slot) => slot.columns));
              if (columns.includes("position"))
                expect(slots.map((slot) => slot.position)).toEqual(expected.map((slot) => slot.position));
            });
          },
        ),
        context.runs,
      );
    });

    it.each([256, 700, 1100])("move the slots of a head of %i where they lie", async (count) => {
      const { backend, fixture } = context;
      const { headDim } = context;
      const columns = ["position", "mass", "lastMass"] as const;
      const heads: Head[] = [count, 300].map((length, head) => ({
        columns: head === 0 ? columns : [],
        slots: randomSlots(head, length, headDim).map((slot, i) => ({
          ...slot,
          columns: head === 0 ? { mass: i + 0.5, lastMass: i / 4 } : {},
        })),
      }));
      const cache = new PagedFixture(fixture, heads, { headDim, pageSlots: 128, capacity: 1152, seed: count });
      const kept = heads.map(({ slots }, head) => slots.map((_, c) => randomUnit(count, head, c) < 0.7));
      backend.compact({
        heads: { queryHeads: 2, kvHeads: 2, headDim },
        paged: cache.kv,
        slots: cache.slots(1152),
        keep: keepBits(fixture, kept, 1152),
        firstRow: 0,
      });
      const found = await cache.read();
      heads.forEach(({ slots }, head) => {
        const expected = slots.filter((_, c) => at(at(kept, head), c));
        const left = at(found, head).slots;
        expect(left.map(({ key, value }) => [key, value])).toEqual(expected.map(({ key, value }) => [key, value]));
        if (head > 0) return;
        expect(left.map(({ position }) => position)).toEqual(expected.map(({ position }) => position));
        expect(left.map((slot) => slot.columns)).toEqual(expected.map((slot) => slot.columns));
      });
    });

    const attendOne = async (
      heads: { queryHeads: number; kvHeads: number; headDim: number },
      cache: PagedFixture,
      qkv: Float32Array,
    ): Promise<number[]> => {
      const { backend, fixture } = context;
      const out = fixture.f32([1, heads.queryHeads * heads.headDim]);
      backend.attend({
        heads,
        scale: 1,
        qkv: rows(fixture.f32([1, qkv.length], qkv)),
        out: rows(out),
        groups: [{ start: 0, count: 1, paged: { kv: cache.kv, appended: 0 } }],
      });
      return fixture.read(out);
    };

    it("leave attention what it is over the kept set alone", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, async ({ heads, headDim, kvHeads, seed, shape }) => {
          const { backend, fixture } = context;
          const options = { headDim, pageSlots: 8, capacity: CAPACITY, seed };
          const cache = new PagedFixture(fixture, heads, options);
          const kept = heads.map(({ slots }, head) => slots.map((_, c) => randomUnit(seed + 1, head, c) < 0.5));
          const tableRows = heads.map(({ slots }) => ({
            position: slots.map((slot) => slot.position),
            flags: slots.map(() => 0),
            columns: {},
          }));
          backend.compact({
            heads: shape,
            paged: cache.kv,
            slots: slotTableOf(fixture, tableRows, CAPACITY, []),
            keep: keepBits(fixture, kept, CAPACITY),
            firstRow: 0,
          });
          const qkv = randoms(seed + 3, 3 * kvHeads * headDim);
          const survivors = heads.map(({ slots, columns }, head) => ({
            columns,
            slots: slots.filter((_, c) => at(at(kept, head), c)),
          }));
          const found = await attendOne(shape, cache, qkv);
          const expected = survivors.flatMap(({ slots }, head) => {
            const query = Array.from(qkv.subarray(head * headDim, (head + 1) * headDim));
            if (slots.length === 0) return query.map(() => 0);
            return naiveAttention(
              query,
              slots.map((slot) => slot.key),
              slots.map((slot) => slot.value),
              1,
            ).out;
          });
          expect(found).toBeAllclose(expected, context.tolerance);
          const never = new PagedFixture(fixture, survivors, { ...options, seed: seed + 9 });
          expect(found).toBeAllclose(await attendOne(shape, never, qkv), context.lawTolerance);
        }),
        context.runs,
      );
    });

    it("leave, of a sequence whose prefix is evicted, dense attention over the suffix at its true positions", async () => {
      const { backend, fixture, headDim } = context;
      const heads = { queryHeads: 2, kvHeads: 1, headDim };
      const width = 4 * headDim;
      const [count, cut] = [14, 9];
      const options = { headDim, pageSlots: 8, capacity: 16, seed: 1 };
      const qkv = randoms(1, count * width);
      const angle = (position: number): number[] => Array.from({ length: headDim / 2 }, (_, i) => position / 10 ** i);
      const read = (cache: PagedFixture, from: number, to: number): void => {
        const positions = Array.from({ length: to - from }, (_, i) => from + i);
        const angles = positions.map(angle);
        backend.append({
          heads,
          qkv: rows(fixture.f32([to - from, width], qkv.slice(from * width, to * width))),
          rotation: rows(
            fixture.f32(
              [to - from, headDim],
              angles.flatMap((of) => [...of.map(Math.cos), ...of.map(Math.sin)]),
            ),
          ),
          into: { kind: "pages", paged: cache.kv, positions: rows(fixture.u32([to - from], positions)) },
        });
      };
      const evicted = new PagedFixture(fixture, [{ slots: [], columns: ["position"] }], options);
      read(evicted, 0, count);
      backend.compact({
        heads,
        paged: evicted.kv,
        slots: slotTableOf(
          fixture,
          [
            {
              position: Array.from({ length: count }, (_, i) => i),
              flags: new Array<number>(count).fill(0),
              columns: {},
            },
          ],
          16,
          [],
        ),
        keep: keepBits(fixture, [Array.from({ length: count }, (_, c) => c >= cut)], 16),
        firstRow: 0,
      });
      const suffix = new PagedFixture(fixture, [{ slots: [], columns: ["position"] }], { ...options, seed: 5 });
      read(suffix, cut, count);
      const query = randoms(2, width);
      expect(await attendOne(heads, evicted, query)).toBeAllclose(
        await attendOne(heads, suffix, query),
        context.lawTolerance,
      );
      expect((await evicted.read()).flatMap(({ slots }) => slots.map((slot) => slot.position))).toEqual([
        9, 10, 11, 12, 13,
      ]);
    });
  });
}
