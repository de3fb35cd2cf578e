import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { AttendGroup } from "../../backend";
import { rows } from "../../device-tensor";
import { Stage, all, naive, scenesOf, type Scene } from "../attend-scene";
import { at, randomIntegers, randoms } from "../fixture";
import { naiveAttention, unflatten } from "../naive";
import { PagedFixture, randomSlots, scratchOf } from "../paged-fixture";
import type { SuiteContext } from "../suite-context";

/** Softmax attention over pages, context and the rows themselves. */
export function attendSuite(context: SuiteContext): void {
  const scenes = scenesOf(context);
  describe("attend", () => {
    it("weighs values by the softmax of scaled products", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, async (scene) => {
          const stage = new Stage(context, scene);
          stage.attend();
          const expected = all(scene, (row, queryHead) => naive(scene, row, queryHead).out);
          expect(await stage.read()).toBeAllclose(expected, context.tolerance);
        }),
        context.runs,
      );
    });

    it("gives a row the same bits whole, in chunks and beside other groups", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, fc.integer({ min: 1, max: 6 }), async (scene, step) => {
          const whole = new Stage(context, scene);
          whole.attend();
          const expected = await whole.read();

          const chunked = new Stage(context, scene);
          for (let start = 0; start < scene.count; start += step)
            chunked.attend(start, Math.min(step, scene.count - start));
          expect(await chunked.read()).toBeAllclose(expected, context.lawTolerance);

          const grouped = new Stage(context, scene);
          const groups: AttendGroup[] = [];
          for (let start = 0; start < scene.count; start += step) {
            groups.push({ ...grouped.group(start, Math.min(step, scene.count - start)), start });
          }
          grouped.attend(0, scene.count, { groups });
          expect(await grouped.read()).toBeAllclose(expected, context.lawTolerance);
        }),
        context.runs,
      );
    });

    it("gives the same bits wherever the pages lie", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, fc.integer({ min: 1, max: 1e6 }), async (scene, seed) => {
          const here = new Stage(context, scene);
          here.attend();
          const there = new Stage(context, { ...scene, seed });
          there.attend();
          expect(await there.read()).toEqual(await here.read());
        }),
        context.runs,
      );
    });

    it("gives a row the same bits whether its keys lie in pages or in scratch", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, async (scene) => {
          const { backend, fixture } = context;
          const { heads, scale, count } = scene;
          const { queryHeads, kvHeads, headDim } = heads;
          // One cache reads its rows one by one into pages, the other reads all into scratch.
          const kept = Array.from({ length: kvHeads }, () => []);
          // Numbers that every cache holds exactly, turned by quarters.
          const vectors = randomSlots(scene.seed, count * (queryHeads + 2 * kvHeads), headDim).map(({ key }) => key);
          const quarters = randomIntegers(scene.seed, (count * headDim) / 2, 4);
          const turns = unflatten(quarters, headDim / 2).flatMap((row) => [
            ...row.map((quarter) => [1, 0, -1, 0][quarter] ?? NaN),
            ...row.map((quarter) => [0, 1, 0, -1][quarter] ?? NaN),
          ]);
          const same = { ...scene, kept, context: 0, qkv: Float32Array.from(vectors.flat()) };
          const fromScratch = new Stage(context, same);
          const stepped = new Stage(context, same);
          const rotation = rows(fixture.f32([count, headDim], turns));
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
        context.runs,
      );
    });

    it("shows each of several appended rows the slots up to itself", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, async (scene) => {
          const { backend, fixture } = context;
          const { heads, scale, count, kept, fresh } = scene;
          const stage = new Stage(context, {
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
        context.runs,
      );
    });

    it("gives up to eight appended rows exactly what each is given by itself", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, fc.integer({ min: 2, max: 8 }), async (scene, count) => {
          const { backend, fixture } = context;
          const { heads, scale, fresh, seed } = scene;
          const own = fresh.map((slots, head) => [...slots, ...randomSlots(seed + 40 + head, 8, heads.headDim)]);
          const qkv = randoms(seed + 20, count * (heads.queryHeads + 2 * heads.kvHeads) * heads.headDim);
          const stage = new Stage(context, {
            ...scene,
            count,
            qkv,
            kept: scene.kept.map((slots, head) => [...slots, ...at(own, head).slice(0, count)]),
          });
          const { kv } = stage.cache;
          const attend = (start: number, many: number): void => {
            const lengths = scene.kept.map((slots) => slots.length + start + many);
            backend.write(kv.lengths, Uint32Array.from(lengths));
            backend.attend({
              heads,
              scale,
              qkv: rows(stage.qkv, start, many),
              out: rows(stage.out, start, many),
              groups: [{ start: 0, count: many, paged: { kv: { ...kv, bounds: lengths }, appended: many } }],
            });
          };
          attend(0, count);
          const together = await fixture.read(stage.out);
          for (let row = 0; row < count; row++) attend(row, 1);
          expect(await fixture.read(stage.out)).toEqual(together);
        }),
        context.runs,
      );
    });

    it("shows every row all slots where none of them is new", async () => {
      await fc.assert(
        fc.asyncProperty(scenes, async (scene) => {
          const { backend } = context;
          const { heads, scale, count } = scene;
          const stage = new Stage(context, scene);
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
        context.runs,
      );
    });

    it("gives zeros where a head has no slot left and the row is not its own", async () => {
      const { backend, fixture, headDim } = context;
      const heads = { queryHeads: 2, kvHeads: 2, headDim };
      const slots = randomSlots(3, 5, headDim);
      const cache = new PagedFixture(
        fixture,
        [
          { slots: [], columns: [] },
          { slots, columns: [] },
        ],
        {
          headDim,
          pageSlots: 8,
          capacity: 8,
          seed: 1,
        },
      );
      const qkv = randoms(4, 6 * headDim);
      const out = fixture.f32([1, 2 * headDim], new Float32Array(2 * headDim).fill(5));
      const attend = (groups: AttendGroup[]): void => {
        backend.attend({ heads, scale: 1, qkv: rows(fixture.f32([1, 6 * headDim], qkv)), out: rows(out), groups });
      };
      attend([{ start: 0, count: 1, paged: { kv: cache.kv, appended: 0 } }]);
      const second = naiveAttention(
        Array.from(qkv.subarray(headDim, 2 * headDim)),
        slots.map((s) => s.key),
        slots.map((s) => s.value),
        1,
      ).out;
      expect(await fixture.read(out)).toBeAllclose(
        [...new Array<number>(headDim).fill(0), ...second],
        context.tolerance,
      );

      const own = scratchOf(fixture, [randomSlots(8, 1, headDim), randomSlots(9, 1, headDim)], headDim);
      attend([{ start: 0, count: 1, paged: { kv: cache.kv, appended: 0 }, own: { scratch: own, start: 0 } }]);
      expect((await fixture.read(out)).slice(0, headDim)).toBeAllclose(
        at(randomSlots(8, 1, headDim), 0).value,
        context.tolerance,
      );
    });

    it("lets no later row's numbers into an earlier row", async () => {
      const { headDim } = context;
      const heads = { queryHeads: 1, kvHeads: 1, headDim };
      const zeros = new Array<number>(headDim).fill(0);
      const fresh = randomSlots(1, 4, headDim).map((slot, i) =>
        i < 3 ? slot : { ...slot, key: [NaN, ...zeros.slice(1)], value: [Infinity, NaN, -Infinity, ...zeros.slice(3)] },
      );
      const scene: Scene = {
        heads,
        scale: 1,
        kept: [[]],
        fresh: [fresh],
        context: 0,
        count: 4,
        qkv: randoms(2, 12 * headDim),
        seed: 1,
      };
      const stage = new Stage(context, scene);
      stage.attend();
      const found = await stage.read();
      expect(found.slice(0, 3 * headDim)).toBeAllclose(
        [0, 1, 2].flatMap((row) => naive(scene, row, 0).out),
        context.tolerance,
      );
      expect(found.slice(3 * headDim)).toEqual(zeros.map(() => NaN));
    });

    it("keeps weights that would overflow before the greatest score is taken off", async () => {
      const { headDim } = context;
      const heads = { queryHeads: 1, kvHeads: 1, headDim };
      const scene: Scene = {
        heads,
        scale: 1e4,
        kept: [[]],
        fresh: [randomSlots(1, 9, headDim)],
        context: 0,
        count: 9,
        qkv: randoms(2, 27 * headDim),
        seed: 1,
      };
      const stage = new Stage(context, scene);
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
}
