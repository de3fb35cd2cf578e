import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { AttendRecord, RowRange } from "../../backend";
import { rows } from "../../device-tensor";
import { Stage, all, naive, scenesOf } from "../attend-scene";
import { at } from "../fixture";
import { PagedFixture, randomSlots, scratchOf } from "../paged-fixture";
import type { SuiteContext } from "../suite-context";

/** What attention adds up on the way: mass tables, columns, and the statistics that kept slots store. */
export function attendRecordSuite(context: SuiteContext): void {
  const scenes = scenesOf(context);
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
            const stage = new Stage(context, {
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
            const pivotal = fixture.f32([kvHeads, columns]);
            const whole = fixture.f32([queryHeads, columns, 1]);
            const positionTensor = fixture.u32([total], positions);
            for (let start = 0; start < count; start += step) {
              const chunk = Math.min(step, count - start);
              const record: AttendRecord = {
                firstRow: scene.context + start,
                positions: positionTensor,
                columnRows,
                tables: [
                  { into: table, bands, rows: tableRows },
                  { into: whole, bands: [], rows: columnRanges },
                ],
                columns: [
                  { reduce: "sum", into: sum, rows: columnRanges },
                  { reduce: "max", into: greatest, rows: columnRanges },
                  { reduce: "count", into: pivotal, rows: tableRows },
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
            const expectedPivotal = new Float64Array(kvHeads * columns);
            const expectedWhole = new Float64Array(queryHeads * columns);
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
                    if (weight * (at(positions, number) + 1) > 1.0001)
                      expectedPivotal[head * columns + c] = at(expectedPivotal, head * columns + c) + 1;
                  }
                  if (has(columnRanges, number)) {
                    const cell = head * columns + c;
                    expectedSum[cell] = at(expectedSum, cell) + weight;
                    expectedWhole[q * columns + c] = at(expectedWhole, q * columns + c) + weight;
                    expectedMax[cell] = Math.max(at(expectedMax, cell), weight);
                  }
                });
              }
            }
            expect(await fixture.read(table)).toBeAllclose(expectedTable, context.tolerance);
            expect(await fixture.read(sum)).toBeAllclose(expectedSum, context.tolerance);
            expect(await fixture.read(greatest)).toBeAllclose(expectedMax, context.tolerance);
            expect(await fixture.read(pivotal)).toBeAllclose(expectedPivotal, context.tolerance);
            expect(await fixture.read(whole)).toBeAllclose(expectedWhole, context.tolerance);
            const expected = all(scene, (row, queryHead) => naive(scene, row, queryHead).out);
            expect(await stage.read()).toBeAllclose(expected, context.tolerance);
          },
        ),
        context.runs,
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
            tables: [{ into: fixture.f32(shape), bands: [2], rows: [{ start: 0, end: 3, stride: 1 }] }],
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
          const stored = [["mass", "maxWeight", "lastMass", "lastMaxWeight"], ["mass"], []] as const;
          const pending = seed % 2 === 0;
          const before = kept.map((slots, head) => ({
            columns: at(stored, head),
            // At least the rows themselves, which were appended.
            slots: [...slots, ...at(fresh, head).slice(0, count)].map((slot, s) => ({
              ...slot,
              columns: { mass: s / 4, maxWeight: 0.25, lastMass: 0.5, lastMaxWeight: 0.375 },
            })),
          }));
          const cache = new PagedFixture(fixture, before, { headDim, pageSlots: 8, capacity: 64, seed, pending });
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
              // The newest row's weights wait where there is a column for that.
              const waits = names.some((name) => name === "lastMass");
              const added = (waits ? weights.slice(0, -1) : weights).flat();
              const expected = {
                mass: s / 4 + (pending && waits ? 0.5 : 0) + sum(added),
                maxWeight: Math.max(pending && waits ? 0.375 : 0.25, ...added),
                lastMass: sum(at(weights, count - 1)),
                lastMaxWeight: Math.max(...at(weights, count - 1)),
              };
              expect(Object.keys(columns).sort()).toEqual([...names].sort());
              expect(names.map((name) => columns[name] ?? NaN)).toBeAllclose(
                names.map((name) => expected[name]),
                context.tolerance,
              );
            });
          });
        }),
        context.runs,
      );
    });
  });
}
