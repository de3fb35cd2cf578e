import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { AttendGroup, AttendRecord, AttendSpec, HeadShape, KvScratch, RowRange } from "../../backend";
import { rows, type DeviceTensor } from "../../device-tensor";
import { at, randoms } from "../fixture";
import { naiveAttention, unflatten } from "../naive";
import { PagedFixture, randomSlots, scratchOf, type Slot } from "../paged-fixture";
import type { SuiteContext } from "../suite-context";

const RUNS = { numRuns: 20 };

/** Rows over kept slots (ragged by head), scratch rows before them, and themselves. */
interface Scene {
  readonly heads: HeadShape;
  readonly scale: number;
  readonly kept: readonly (readonly Slot[])[];
  /** Scratch rows of each KV head: those of the context, then the group's own. */
  readonly fresh: readonly (readonly Slot[])[];
  readonly context: number;
  readonly count: number;
  readonly qkv: Float32Array;
  readonly seed: number;
}

const scenes: fc.Arbitrary<Scene> = fc
  .record({
    kvHeads: fc.integer({ min: 1, max: 3 }),
    perGroup: fc.integer({ min: 1, max: 3 }),
    half: fc.integer({ min: 1, max: 9 }),
    kept: fc.array(fc.integer({ min: 0, max: 21 }), { minLength: 3, maxLength: 3 }),
    context: fc.integer({ min: 0, max: 12 }),
    count: fc.integer({ min: 1, max: 19 }),
    seed: fc.integer({ min: 1, max: 1e6 }),
  })
  .map(({ kvHeads, perGroup, half, kept, context, count, seed }) => {
    const heads = { queryHeads: kvHeads * perGroup, kvHeads, headDim: 2 * half };
    return {
      heads,
      scale: 2,
      kept: Array.from({ length: kvHeads }, (_, head) => randomSlots(seed + head, at(kept, head), heads.headDim)),
      fresh: Array.from({ length: kvHeads }, (_, head) =>
        randomSlots(seed + 10 + head, context + count, heads.headDim),
      ),
      context,
      count,
      qkv: randoms(seed + 20, count * (heads.queryHeads + 2 * kvHeads) * heads.headDim),
      seed,
    };
  });

/** Weights and output of a row and query head, over the head's kept slots and the scratch rows it sees. */
function naive(scene: Scene, row: number, queryHead: number): { weights: number[]; out: number[] } {
  const { heads, kept, fresh, context, qkv, scale } = scene;
  const head = Math.floor(queryHead / (heads.queryHeads / heads.kvHeads));
  const slots = [...at(kept, head), ...at(fresh, head).slice(0, context + row + 1)];
  const query = at(unflatten(qkv, heads.headDim), row * (heads.queryHeads + 2 * heads.kvHeads) + queryHead);
  return naiveAttention(
    query,
    slots.map((slot) => slot.key),
    slots.map((slot) => slot.value),
    scale,
  );
}

/** Softmax attention over pages, context and the rows themselves, and what it records on the way. */
export function attendSuite(context: SuiteContext): void {
  /** A scene on the device, with shorthands for attending parts of it. */
  class Stage {
    readonly cache: PagedFixture;
    readonly scratch: KvScratch;
    readonly qkv: DeviceTensor;
    readonly out: DeviceTensor;

    constructor(readonly scene: Scene) {
      const { fixture } = context;
      const { heads, kept, fresh, count, qkv, seed } = scene;
      const { headDim, queryHeads, kvHeads } = heads;
      const slots = kept.map((of) => ({ slots: of, columns: [] }));
      this.cache = new PagedFixture(fixture, slots, { headDim, pageSlots: 8, capacity: 64, seed });
      this.scratch = scratchOf(fixture, fresh, headDim);
      this.qkv = fixture.f32([count, (queryHeads + 2 * kvHeads) * headDim], qkv);
      this.out = fixture.f32([count, queryHeads * headDim]);
    }

    group(start: number, count: number): AttendGroup {
      return {
        start: 0,
        count,
        paged: { kv: this.cache.kv, appended: 0 },
        context: { scratch: this.scratch, start: 0, count: this.scene.context + start },
        own: { scratch: this.scratch, start: this.scene.context + start },
      };
    }

    /** Attend rows start .. start + count of the scene. */
    attend(start = 0, count = this.scene.count, more: Partial<AttendSpec> = {}): void {
      const { heads, scale } = this.scene;
      context.backend.attend({
        heads,
        scale,
        qkv: rows(this.qkv, start, count),
        out: rows(this.out, start, count),
        groups: [this.group(start, count)],
        ...more,
      });
    }

    read(): Promise<number[]> {
      return context.fixture.read(this.out);
    }
  }

  const all = ({ heads, count }: Scene, of: (row: number, queryHead: number) => number[]): number[] =>
    Array.from({ length: count * heads.queryHeads }, (_, i) =>
      of(Math.floor(i / heads.queryHeads), i % heads.queryHeads),
    ).flat();

  describe("attend", () => {
    it("weighs values by the softmax of scaled products", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, async (scene) => {
          const stage = new Stage(scene);
          stage.attend();
          const expected = all(scene, (row, queryHead) => naive(scene, row, queryHead).out);
          expect(await stage.read()).toBeAllclose(expected, context.tolerance);
        }),
        RUNS,
      );
    });

    it("gives a row the same bits whole, in chunks and beside other groups", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, fc.integer({ min: 1, max: 6 }), async (scene, step) => {
          const whole = new Stage(scene);
          whole.attend();
          const expected = await whole.read();

          const chunked = new Stage(scene);
          for (let start = 0; start < scene.count; start += step)
            chunked.attend(start, Math.min(step, scene.count - start));
          expect(await chunked.read()).toBeAllclose(expected, context.lawTolerance);

          const grouped = new Stage(scene);
          const groups: AttendGroup[] = [];
          for (let start = 0; start < scene.count; start += step) {
            groups.push({ ...grouped.group(start, Math.min(step, scene.count - start)), start });
          }
          grouped.attend(0, scene.count, { groups });
          expect(await grouped.read()).toBeAllclose(expected, context.lawTolerance);
        }),
        RUNS,
      );
    });

    it("gives a row the same bits whether its keys lie in pages or in scratch", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, async (scene) => {
          const { backend, fixture } = context;
          const { heads, scale, count } = scene;
          // One cache reads its rows one by one into pages, the other reads all into scratch.
          const kept = Array.from({ length: heads.kvHeads }, () => []);
          const fromScratch = new Stage({ ...scene, kept, context: 0 });
          const stepped = new Stage({ ...scene, kept, context: 0 });
          const rotation = rows(fixture.f32([count, heads.headDim], randoms(scene.seed, count * heads.headDim)));
          const positions = fixture.u32(
            [count],
            Array.from({ length: count }, (_, i) => i),
          );
          backend.append({
            heads,
            qkv: rows(fromScratch.qkv),
            rotation,
            into: { kind: "scratch", scratch: fromScratch.scratch, at: 0 },
          });
          fromScratch.attend();
          for (let row = 0; row < count; row++) {
            const qkv = rows(stepped.qkv, row, 1);
            const { kv } = stepped.cache;
            backend.append({
              heads,
              qkv,
              rotation: rows(rotation.tensor, row, 1),
              into: { kind: "pages", paged: kv, positions: rows(positions, row, 1) },
            });
            backend.attend({
              heads,
              scale,
              qkv,
              out: rows(stepped.out, row, 1),
              groups: [{ start: 0, count: 1, paged: { kv, appended: 1 } }],
            });
          }
          expect(await stepped.read()).toBeAllclose(await fromScratch.read(), context.lawTolerance);
        }),
        RUNS,
      );
    });

    it("shows each of several appended rows the slots up to itself", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, async (scene) => {
          const { backend, fixture } = context;
          const { heads, scale, count, kept, fresh } = scene;
          const stage = new Stage({
            ...scene,
            kept: kept.map((slots, head) => [...slots, ...at(fresh, head).slice(0, count)]),
          });
          const out = rows(stage.out);
          backend.attend({
            heads,
            scale,
            qkv: rows(stage.qkv),
            out,
            groups: [{ start: 0, count, paged: { kv: stage.cache.kv, appended: count } }],
          });
          const same = { ...scene, context: 0 };
          expect(await fixture.read(stage.out)).toBeAllclose(
            all(same, (row, queryHead) => naive(same, row, queryHead).out),
            context.tolerance,
          );
        }),
        RUNS,
      );
    });

    it("shows every row all slots where none of them is new", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, async (scene) => {
          const { backend } = context;
          const { heads, scale, count } = scene;
          const stage = new Stage(scene);
          const { cache, scratch } = stage;
          const seen = { scratch, start: 0, count: scene.context };
          backend.attend({
            heads,
            scale,
            qkv: rows(stage.qkv),
            out: rows(stage.out),
            groups: [{ start: 0, count, paged: { kv: cache.kv, appended: 0 }, context: seen }],
          });
          const expected = all(
            scene,
            (row, queryHead) => naive({ ...scene, context: scene.context - row - 1 }, row, queryHead).out,
          );
          expect(await stage.read()).toBeAllclose(expected, context.tolerance);
        }),
        RUNS,
      );
    });

    it("gives zeros where a head has no slot left and the row is not its own", async () => {
      const { backend, fixture } = context;
      const heads = { queryHeads: 2, kvHeads: 2, headDim: 4 };
      const slots = randomSlots(3, 5, 4);
      const cache = new PagedFixture(
        fixture,
        [
          { slots: [], columns: [] },
          { slots, columns: [] },
        ],
        {
          headDim: 4,
          pageSlots: 8,
          capacity: 8,
          seed: 1,
        },
      );
      const qkv = randoms(4, 24);
      const out = fixture.f32([1, 8], new Float32Array(8).fill(5));
      const attend = (groups: AttendGroup[]): void => {
        backend.attend({ heads, scale: 1, qkv: rows(fixture.f32([1, 24], qkv)), out: rows(out), groups });
      };
      attend([{ start: 0, count: 1, paged: { kv: cache.kv, appended: 0 } }]);
      const second = naiveAttention(
        Array.from(qkv.subarray(4, 8)),
        slots.map((s) => s.key),
        slots.map((s) => s.value),
        1,
      ).out;
      expect(await fixture.read(out)).toBeAllclose([0, 0, 0, 0, ...second], context.tolerance);

      const own = scratchOf(fixture, [randomSlots(8, 1, 4), randomSlots(9, 1, 4)], 4);
      attend([{ start: 0, count: 1, paged: { kv: cache.kv, appended: 0 }, own: { scratch: own, start: 0 } }]);
      expect((await fixture.read(out)).slice(0, 4)).toBeAllclose(at(randomSlots(8, 1, 4), 0).value, context.tolerance);
    });

    it("lets no later row's numbers into an earlier row", async () => {
      const heads = { queryHeads: 1, kvHeads: 1, headDim: 2 };
      const fresh = randomSlots(1, 4, 2).map((slot, i) =>
        i < 3 ? slot : { ...slot, key: [NaN, 0], value: [Infinity, NaN] },
      );
      const scene: Scene = {
        heads,
        scale: 1,
        kept: [[]],
        fresh: [fresh],
        context: 0,
        count: 4,
        qkv: randoms(2, 24),
        seed: 1,
      };
      const stage = new Stage(scene);
      stage.attend();
      const found = await stage.read();
      expect(found.slice(0, 6)).toBeAllclose(
        [0, 1, 2].flatMap((row) => naive(scene, row, 0).out),
        context.tolerance,
      );
      expect(found.slice(6)).toEqual([NaN, NaN]);
    });

    it("keeps weights that would overflow before the greatest score is taken off", async () => {
      const heads = { queryHeads: 1, kvHeads: 1, headDim: 2 };
      const scene: Scene = {
        heads,
        scale: 1e4,
        kept: [[]],
        fresh: [randomSlots(1, 9, 2)],
        context: 0,
        count: 9,
        qkv: randoms(2, 54),
        seed: 1,
      };
      const stage = new Stage(scene);
      stage.attend();
      expect(await stage.read()).toBeAllclose(
        all(scene, (row) => naive(scene, row, 0).out),
        context.tolerance,
      );
    });

    it("refuses rows and widths that are not there", async () => {
      const { backend, fixture } = context;
      const heads = { queryHeads: 2, kvHeads: 1, headDim: 2 };
      const scratch = scratchOf(fixture, [randomSlots(1, 3, 2)], 2, 3);
      const attend = (groups: AttendGroup[], width = 8): void => {
        backend.attend({ heads, scale: 1, qkv: rows(fixture.f32([2, width])), out: rows(fixture.f32([2, 4])), groups });
      };
      attend([], 9);
      await expect(backend.flush()).rejects.toMatchObject({
        code: "shape",
        message: expect.stringContaining("attend") as unknown,
      });
      attend([{ start: 1, count: 2, own: { scratch, start: 0 } }]);
      await expect(backend.flush()).rejects.toMatchObject({
        code: "range",
        message: expect.stringContaining("attend") as unknown,
      });
      attend([{ start: 0, count: 2, context: { scratch, start: 0, count: 2 }, own: { scratch, start: 2 } }]);
      await expect(backend.flush()).rejects.toMatchObject({
        code: "range",
        message: expect.stringContaining("attend") as unknown,
      });
    });
  });

  describe("attend, recording", () => {
    const ranges: fc.Arbitrary<RowRange[]> = fc.array(
      fc.record({
        start: fc.integer({ min: 0, max: 12 }),
        end: fc.integer({ min: 3, max: 40 }),
        stride: fc.integer({ min: 1, max: 4 }),
      }),
      { minLength: 1, maxLength: 2 },
    );
    const has = (of: readonly RowRange[], row: number): boolean =>
      of.some(({ start, end, stride }) => row >= start && row < end && (row - start) % stride === 0);

    it("adds up the softmax maps by column and band, over slots and scratch rows, chunk by chunk", async () => {
      await fc.assert(
        fc.asyncProperty(
          scenes,
          fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 3 }).map((bands) => bands.sort((a, b) => a - b)),
          ranges,
          ranges,
          fc.integer({ min: 1, max: 20 }),
          fc.integer({ min: 0, max: 6 }),
          async (scene, bands, tableRows, columnRanges, step, probeRows) => {
            const { fixture } = context;
            const { heads, count, kept, seed } = scene;
            const { queryHeads, kvHeads, headDim } = heads;
            const perGroup = queryHeads / kvHeads;
            const stage = new Stage({
              ...scene,
              // Kept slots have gaps in their positions, as they do after a cut.
              kept: kept.map((slots) => slots.map((slot) => ({ ...slot, position: 2 * slot.position }))),
            });
            const cache = new PagedFixture(
              fixture,
              stage.scene.kept.map((slots) => ({ slots, columns: ["position"] })),
              { headDim, pageSlots: 8, capacity: 64, seed },
            );
            const total = scene.context + count;
            // The last of the scratch rows are a probe's: they fill the table, and are no columns of it.
            const columnRows = Math.max(0, total - probeRows);
            const positions = Array.from({ length: total }, (_, i) => 50 + i);
            const columns = 21 + total;
            const table = fixture.f32([queryHeads, columns, bands.length + 1]);
            const sum = fixture.f32([kvHeads, columns]);
            const greatest = fixture.f32([kvHeads, columns]);
            const positionTensor = fixture.u32([total], positions);
            for (let start = 0; start < count; start += step) {
              const chunk = Math.min(step, count - start);
              const record: AttendRecord = {
                firstRow: scene.context + start,
                positions: positionTensor,
                columnRows,
                table: { into: table, bands, rows: tableRows },
                columns: [
                  { reduce: "sum", into: sum, rows: columnRanges },
                  { reduce: "max", into: greatest, rows: columnRanges },
                ],
              };
              stage.attend(start, chunk, {
                record,
                groups: [{ ...stage.group(start, chunk), paged: { kv: cache.kv, appended: 0 } }],
              });
            }

            const expectedTable = new Float64Array(queryHeads * columns * (bands.length + 1));
            const expectedSum = new Float64Array(kvHeads * columns);
            const expectedMax = new Float64Array(kvHeads * columns);
            for (let row = 0; row < count; row++) {
              const number = scene.context + row;
              for (let q = 0; q < queryHeads; q++) {
                const head = Math.floor(q / perGroup);
                const slots = at(stage.scene.kept, head);
                naive(scene, row, q).weights.forEach((weight, c) => {
                  if (c >= slots.length + columnRows) return;
                  const position = c < slots.length ? at(slots, c).position : at(positions, c - slots.length);
                  const band = bands.filter((window) => at(positions, number) - position >= window).length;
                  if (has(tableRows, number)) {
                    const cell = (q * columns + c) * (bands.length + 1) + band;
                    expectedTable[cell] = at(expectedTable, cell) + weight;
                  }
                  if (has(columnRanges, number)) {
                    const cell = head * columns + c;
                    expectedSum[cell] = at(expectedSum, cell) + weight;
                    expectedMax[cell] = Math.max(at(expectedMax, cell), weight);
                  }
                });
              }
            }
            expect(await fixture.read(table)).toBeAllclose(expectedTable, context.tolerance);
            expect(await fixture.read(sum)).toBeAllclose(expectedSum, context.tolerance);
            expect(await fixture.read(greatest)).toBeAllclose(expectedMax, context.tolerance);
            const expected = all(scene, (row, queryHead) => naive(scene, row, queryHead).out);
            expect(await stage.read()).toBeAllclose(expected, context.tolerance);
          },
        ),
        RUNS,
      );
    });

    it("refuses a table with too few columns or bands", async () => {
      const { backend, fixture } = context;
      const heads = { queryHeads: 1, kvHeads: 1, headDim: 2 };
      const scratch = scratchOf(fixture, [randomSlots(1, 3, 2)], 2);
      const attend = (shape: number[]): void => {
        backend.attend({
          heads,
          scale: 1,
          qkv: rows(fixture.f32([3, 6])),
          out: rows(fixture.f32([3, 2])),
          groups: [{ start: 0, count: 3, own: { scratch, start: 0 } }],
          record: {
            firstRow: 0,
            positions: fixture.u32([3], [0, 1, 2]),
            columnRows: 3,
            table: { into: fixture.f32(shape), bands: [2], rows: [{ start: 0, end: 3, stride: 1 }] },
            columns: [],
          },
        });
      };
      for (const shape of [
        [1, 2, 2],
        [1, 3, 1],
        [2, 3, 2],
      ]) {
        attend(shape);
        await expect(backend.flush()).rejects.toMatchObject({
          code: "shape",
          message: expect.stringContaining("attend") as unknown,
        });
      }
    });

    it("adds up what generated rows give to the columns that a head stores", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, async (scene) => {
          const { backend, fixture } = context;
          const { heads, scale, kept, fresh, count, qkv, seed } = scene;
          const { queryHeads, kvHeads, headDim } = heads;
          const perGroup = queryHeads / kvHeads;
          const stored = [["mass", "maxWeight", "lastMass"], ["mass"], []] as const;
          const before = kept.map((slots, head) => ({
            columns: at(stored, head),
            // At least the rows themselves, which were appended.
            slots: [...slots, ...at(fresh, head).slice(0, count)].map((slot, s) => ({
              ...slot,
              columns: { mass: s / 4, maxWeight: 0.25, lastMass: 9 },
            })),
          }));
          const cache = new PagedFixture(fixture, before, { headDim, pageSlots: 8, capacity: 64, seed });
          const tensor = fixture.f32([count, (queryHeads + 2 * kvHeads) * headDim], qkv);
          const out = fixture.f32([count, queryHeads * headDim]);
          backend.attend({
            heads,
            scale,
            qkv: rows(tensor),
            out: rows(out),
            groups: [{ start: 0, count, paged: { kv: cache.kv, appended: count } }],
            accumulate: true,
          });
          const after = await cache.read();
          const same = { ...scene, context: 0 };
          after.forEach(({ slots }, head) => {
            slots.forEach(({ columns }, s) => {
              const weights = Array.from({ length: count }, (_, row) =>
                Array.from({ length: perGroup }, (__, g) => naive(same, row, head * perGroup + g).weights[s] ?? 0),
              );
              const sum = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0);
              const names = at(stored, head);
              const expected = {
                mass: s / 4 + sum(weights.flat()),
                maxWeight: Math.max(0.25, ...weights.flat()),
                lastMass: sum(at(weights, count - 1)),
              };
              expect(Object.keys(columns).sort()).toEqual([...names].sort());
              expect(names.map((name) => columns[name] ?? NaN)).toBeAllclose(
                names.map((name) => expected[name]),
                context.tolerance,
              );
            });
          });
        }),
        RUNS,
      );
    });
  });
}
