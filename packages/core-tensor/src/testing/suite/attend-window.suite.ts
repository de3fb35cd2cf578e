import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { rows } from "../../device-tensor";
import { Stage, all, naive, scenesOf, type Scene } from "../attend-scene";
import { at } from "../fixture";
import { PagedFixture, randomSlots, scratchOf } from "../paged-fixture";
import type { SuiteContext } from "../suite-context";

/** Attention whose rows see a window of positions, and whose scores are capped. */
export function attendWindowSuite(context: SuiteContext): void {
  const scenes = fc
    .record({
      scene: scenesOf(context),
      // Beyond 70 every row sees everything.
      size: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 90 })),
      gap: fc.constantFrom(1, 2),
      softCap: fc.option(fc.double({ min: 0.1, max: 5, noNaN: true }), { nil: undefined }),
    })
    .map(({ scene, size, gap, softCap }): Scene => {
      const kept = scene.kept.map((slots) => slots.map((slot) => ({ ...slot, position: gap * slot.position })));
      // Scratch rows begin behind the last slot that any head may have.
      const position = 21 * gap + scene.context;
      return { ...scene, kept, window: { size, position }, ...(softCap === undefined ? {} : { softCap }) };
    });

  describe("attend, in a window", () => {
    it("weighs what is in the window by position, with scores capped, in chunks as whole", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, fc.integer({ min: 1, max: 6 }), async (scene, step) => {
          const expected = all(scene, (row, queryHead) => naive(scene, row, queryHead).out);
          const whole = new Stage(context, scene);
          whole.attend();
          expect(await whole.read()).toBeAllclose(expected, context.tolerance);
          const chunked = new Stage(context, scene);
          for (let start = 0; start < scene.count; start += step) {
            chunked.attend(start, Math.min(step, scene.count - start));
          }
          expect(await chunked.read()).toBeAllclose(await whole.read(), context.lawTolerance);
        }),
        context.runs,
      );
    });

    it("records what the rows see, and nothing of what they do not", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, fc.constantFrom([], [7]), async (scene, bands) => {
          const { fixture } = context;
          const { heads, count, kept, window = { size: Infinity, position: 0 } } = scene;
          const { queryHeads, kvHeads } = heads;
          const total = scene.context + count;
          const columns = 21 + total;
          const base = window.position - scene.context;
          const table = fixture.f32([queryHeads, columns, bands.length + 1]);
          const greatest = fixture.f32([kvHeads, columns]);
          const ranges = [{ start: 0, end: total, stride: 1 }];
          new Stage(context, scene).attend(0, count, {
            record: {
              firstRow: scene.context,
              positions: fixture.u32(
                [total],
                Array.from({ length: total }, (_, i) => base + i),
              ),
              columnRows: total,
              tables: [{ into: table, bands, rows: ranges }],
              columns: [{ reduce: "max", into: greatest, rows: ranges }],
            },
          });
          const expectedTable = new Float64Array(queryHeads * columns * (bands.length + 1));
          const expectedMax = new Float64Array(kvHeads * columns);
          for (let row = 0; row < count; row++) {
            for (let q = 0; q < queryHeads; q++) {
              const head = Math.floor(q / (queryHeads / kvHeads));
              const slots = at(kept, head);
              naive(scene, row, q).weights.forEach((weight, c) => {
                const position = c < slots.length ? at(slots, c).position : base + c - slots.length;
                const band = bands.filter((edge) => window.position + row - position >= edge).length;
                const cell = (q * columns + c) * (bands.length + 1) + band;
                expectedTable[cell] = at(expectedTable, cell) + weight;
                expectedMax[head * columns + c] = Math.max(at(expectedMax, head * columns + c), weight);
              });
            }
          }
          expect(await fixture.read(table)).toBeAllclose(expectedTable, context.tolerance);
          expect(await fixture.read(greatest)).toBeAllclose(expectedMax, context.tolerance);
        }),
        context.runs,
      );
    });

    it("holds for appended rows too, and for what they add to stored columns", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, async (scene) => {
          const { backend, fixture } = context;
          const { heads, scale, kept, fresh, count, seed, softCap, window } = scene;
          const { queryHeads, kvHeads, headDim } = heads;
          if (window === undefined) return;
          const gaps = seed % 2 === 0;
          const before = kept.map((slots, head) => ({
            columns: [...(gaps ? (["position"] as const) : []), "mass" as const],
            slots: [
              ...slots.map((slot, s) => (gaps ? slot : { ...slot, position: s })),
              ...at(fresh, head).slice(0, count),
            ].map((slot, s) => ({
              ...slot,
              position: s < slots.length ? slot.position : window.position + s - slots.length,
            })),
          }));
          // Without a stored position a slot's number is its position: the rows are then the next ones of each head.
          const aligned = gaps || before.every(({ slots }) => slots.length === at(before, 0).slots.length);
          if (!aligned) return;
          const position = gaps ? window.position : at(kept, 0).length;
          const cache = new PagedFixture(fixture, before, { headDim, pageSlots: 8, capacity: 64, seed });
          const out = fixture.f32([count, queryHeads * headDim]);
          backend.attend({
            heads,
            scale,
            ...(softCap === undefined ? {} : { softCap }),
            window: window.size,
            qkv: rows(fixture.f32([count, (queryHeads + 2 * kvHeads) * headDim], scene.qkv)),
            out: rows(out),
            groups: [{ start: 0, count, position, paged: { kv: cache.kv, appended: count } }],
            accumulate: true,
          });
          const same: Scene = {
            ...scene,
            context: 0,
            kept: before.map(({ slots }, head) => slots.slice(0, at(kept, head).length)),
            window: { size: window.size, position },
          };
          expect(await fixture.read(out)).toBeAllclose(
            all(same, (row, queryHead) => naive(same, row, queryHead).out),
            context.tolerance,
          );
          const after = await cache.read();
          after.forEach(({ slots }, head) => {
            const expected = slots.map((_, s) => {
              let sum = 0;
              for (let row = 0; row < count; row++) {
                for (let g = 0; g < queryHeads / kvHeads; g++) {
                  sum += naive(same, row, (head * queryHeads) / kvHeads + g).weights[s] ?? 0;
                }
              }
              return sum;
            });
            expect(slots.map(({ columns }) => columns.mass ?? NaN)).toBeAllclose(expected, context.tolerance);
          });
        }),
        context.runs,
      );
    });

    it("is refused without the rows' position, or where there is none to a size", async () => {
      const { backend, fixture } = context;
      const heads = { queryHeads: 1, kvHeads: 1, headDim: 2 };
      const scratch = scratchOf(fixture, [randomSlots(1, 3, 2)], 2);
      const attend = (more: {
        readonly window?: number;
        readonly softCap?: number;
        readonly position?: number;
      }): void => {
        const { position, ...spec } = more;
        backend.attend({
          heads,
          scale: 1,
          ...spec,
          qkv: rows(fixture.f32([3, 6])),
          out: rows(fixture.f32([3, 2])),
          groups: [{ start: 0, count: 3, own: { scratch, start: 0 }, ...(position === undefined ? {} : { position }) }],
        });
      };
      for (const [more, message] of [
        [{ window: 4 }, "position"],
        [{ window: 0, position: 0 }, "a window of 0"],
        [{ window: 1.5, position: 0 }, "a window of 1.5"],
        [{ softCap: 0 }, "a soft cap of 0"],
      ] as const) {
        attend(more);
        await expect(backend.flush()).rejects.toMatchObject({
          code: "range",
          message: expect.stringContaining(message) as unknown,
        });
      }
    });
  });
}
