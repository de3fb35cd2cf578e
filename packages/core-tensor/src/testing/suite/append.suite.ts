import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { STORED_COLUMNS, type StoredColumn } from "../../backend";
import { rows } from "../../device-tensor";
import { randoms } from "../fixture";
import { naiveRotation, unflatten } from "../naive";
import { PagedFixture, randomSlots } from "../paged-fixture";
import type { SuiteContext } from "../suite-context";

const shapeOf = ({ halves }: SuiteContext) =>
  fc.record({
    kvHeads: fc.integer({ min: 1, max: 3 }),
    perGroup: fc.integer({ min: 1, max: 3 }),
    half: halves,
    count: fc.integer({ min: 1, max: 9 }),
    seed: fc.integer({ min: 1, max: 1e6 }),
  });

/** Rotation, and the way into scratch and pages. */
export function appendSuite(context: SuiteContext): void {
  const shape = shapeOf(context);
  describe("append", () => {
    const generated = (kvHeads: number, perGroup: number, half: number, count: number, seed: number) => {
      const headDim = 2 * half;
      const heads = { queryHeads: kvHeads * perGroup, kvHeads, headDim };
      const width = heads.queryHeads + 2 * kvHeads;
      const qkv = randoms(seed, count * width * headDim);
      const angles = unflatten(
        randoms(seed + 1, count * half).map((value) => 7 * value),
        half,
      );
      const rotation = angles.flatMap((row) => [...row.map(Math.cos), ...row.map(Math.sin)]);
      const vectors = unflatten(qkv, headDim);
      /** Vector `index` of a row as it should be; queries and keys turn, values do not. */
      const expected = (row: number, index: number): number[] => {
        const vector = vectors[row * width + index] ?? [];
        return index < heads.queryHeads + kvHeads ? naiveRotation(vector, angles[row] ?? []) : vector;
      };
      return { heads, width, headDim, qkv, rotation, expected };
    };

    it("turns queries in place, and puts keys and values into scratch", async () => {
      await fc.assert(
        fc.asyncProperty(
          shape,
          fc.integer({ min: 0, max: 3 }),
          async ({ kvHeads, perGroup, half, count, seed }, start) => {
            const { backend, fixture } = context;
            const { heads, width, headDim, qkv, rotation, expected } = generated(kvHeads, perGroup, half, count, seed);
            const capacity = start + count + 1;
            const scratch = {
              k: fixture.scratch([kvHeads, capacity, headDim]),
              v: fixture.scratch([kvHeads, capacity, headDim]),
            };
            const tensor = fixture.f32([count, width * headDim], qkv);
            backend.append({
              heads,
              qkv: rows(tensor),
              rotation: rows(fixture.f32([count, headDim], rotation)),
              into: { kind: "scratch", scratch, at: start },
            });
            const found = unflatten(await fixture.read(tensor), headDim);
            const keys = unflatten(await fixture.read(scratch.k), headDim);
            const values = unflatten(await fixture.read(scratch.v), headDim);
            for (let row = 0; row < count; row++) {
              for (let head = 0; head < heads.queryHeads; head++) {
                expect(found[row * width + head] ?? []).toBeAllclose(expected(row, head), context.tolerance);
              }
              for (let head = 0; head < kvHeads; head++) {
                const place = head * capacity + start + row;
                expect(keys[place] ?? []).toBeAllclose(expected(row, heads.queryHeads + head), context.scratch);
                const value = expected(row, heads.queryHeads + kvHeads + head);
                if (fixture.kvType === "f32") expect(values[place]).toEqual(value);
                else expect(values[place] ?? []).toBeAllclose(value, context.scratch);
              }
            }
            for (let head = 0; head < kvHeads; head++) {
              const last = keys[head * capacity + capacity - 1] ?? [];
              expect(last.every((value) => value === 0)).toBe(true);
            }
          },
        ),
        context.runs,
      );
    });

    it("puts rows behind the slots in use, each head at its own length, and sets the columns it has", async () => {
      await fc.assert(
        fc.asyncProperty(shape, async ({ kvHeads, perGroup, half, count, seed }) => {
          const { backend, fixture } = context;
          const { heads, width, headDim, qkv, rotation, expected } = generated(kvHeads, perGroup, half, count, seed);
          const before = Array.from({ length: kvHeads }, (_, head) => ({
            slots: randomSlots(seed + head, (seed + 5 * head) % 11, headDim),
            columns: STORED_COLUMNS.filter((__, column) => ((seed + head) >> column) % 2 === 1),
          }));
          const cache = new PagedFixture(fixture, before, { headDim, pageSlots: 4, capacity: 24, seed });
          const positions = Array.from({ length: count }, (_, i) => 100 + 3 * i);
          backend.append({
            heads,
            qkv: rows(fixture.f32([count, width * headDim], qkv)),
            rotation: rows(fixture.f32([count, headDim], rotation)),
            into: { kind: "pages", paged: cache.kv, positions: rows(fixture.u32([count + 1], [0, ...positions]), 1) },
          });
          const after = await cache.read();
          after.forEach(({ slots }, head) => {
            const known = before[head]?.slots ?? [];
            const columns: readonly StoredColumn[] = before[head]?.columns ?? [];
            expect(slots.length).toBe(known.length + count);
            slots.slice(0, known.length).forEach((slot, s) => {
              expect(slot).toMatchObject({ key: known[s]?.key, value: known[s]?.value, position: known[s]?.position });
            });
            slots.slice(known.length).forEach((slot, row) => {
              expect(slot.key).toBeAllclose(expected(row, heads.queryHeads + head), context.stored);
              expect(slot.value).toBeAllclose(expected(row, heads.queryHeads + kvHeads + head), context.stored);
              if (columns.includes("position")) expect(slot.position).toBe(positions[row]);
              expect(Object.values(slot.columns)).toEqual(columns.filter((name) => name !== "position").map(() => 0));
            });
          });
        }),
        context.runs,
      );
    });

    const heads = { queryHeads: 2, kvHeads: 1, headDim: 4 };

    it("refuses scratch without room, and angles for other rows", async () => {
      const { backend, fixture } = context;
      const scratch = { k: fixture.f32([1, 3, 4]), v: fixture.f32([1, 3, 4]) };
      const qkv = rows(fixture.f32([2, 16]));
      backend.append({ heads, qkv, rotation: rows(fixture.f32([2, 4])), into: { kind: "scratch", scratch, at: 2 } });
      await expect(backend.flush()).rejects.toMatchObject({
        code: "range",
        message: expect.stringContaining("append") as unknown,
      });
      backend.append({ heads, qkv, rotation: rows(fixture.f32([1, 4])), into: { kind: "scratch", scratch, at: 0 } });
      await expect(backend.flush()).rejects.toMatchObject({
        code: "shape",
        message: expect.stringContaining("append") as unknown,
      });
    });
  });
}
