import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { AppendSpec, AttendSpec, MatmulSpec } from "../../backend";
import { rows } from "../../device-tensor";
import { lasting } from "../../lasting-spec";
import { tensor } from "../../tensor";
import { randoms } from "../fixture";
import { PagedFixture, randomSlots } from "../paged-fixture";
import type { SuiteContext } from "../suite-context";

const same = <Spec>(spec: Spec): Spec => spec;

/** Specifications that come again. */
export function lastingSuite(context: SuiteContext): void {
  describe("a lasting specification", () => {
    it("gives token after token what one that is made anew gives", async () => {
      const steps = fc.record({
        kvHeads: fc.integer({ min: 1, max: 3 }),
        perGroup: fc.integer({ min: 1, max: 2 }),
        // Some come to the next chunk of columns on the way.
        kept: fc.array(fc.constantFrom(0, 1, 5, 61, 252, 254, 255), { minLength: 3, maxLength: 3 }),
        tokens: fc.integer({ min: 2, max: 6 }),
        accumulate: fc.boolean(),
        seed: fc.integer({ min: 1, max: 1e6 }),
      });
      await fc.assert(
        fc.asyncProperty(steps, async ({ kvHeads, perGroup, kept, tokens, accumulate, seed }) => {
          const { backend, fixture, headDim } = context;
          const heads = { queryHeads: kvHeads * perGroup, kvHeads, headDim };
          const width = (heads.queryHeads + 2 * kvHeads) * headDim;
          const inputs = 8;
          const weight = fixture.f32([width, inputs], randoms(seed, width * inputs));
          const decode = async (keep: <Spec extends object>(spec: Spec) => Spec): Promise<readonly number[][]> => {
            const before = Array.from({ length: kvHeads }, (_, head) => ({
              slots: randomSlots(seed + head, kept[head] ?? 0, headDim),
              columns: accumulate ? (["position", "mass", "lastMass"] as const) : [],
            }));
            const cache = new PagedFixture(fixture, before, { headDim, pageSlots: 16, capacity: 272, seed });
            const [x, qkv] = [fixture.f32([1, inputs]), fixture.f32([1, width])];
            const [rotation, positions] = [fixture.f32([1, headDim]), fixture.u32([1])];
            const out = fixture.f32([1, heads.queryHeads * headDim]);
            const make = () => {
              const pending = { ...cache.kv, pending: accumulate };
              return {
                product: keep<MatmulSpec>({ x: rows(x), weight, out: rows(qkv) }),
                append: keep<AppendSpec>({
                  heads,
                  qkv: rows(qkv),
                  rotation: rows(rotation),
                  into: { kind: "pages", paged: pending, positions: rows(positions) },
                }),
                attend: keep<AttendSpec>({
                  heads,
                  scale: 0.4,
                  qkv: rows(qkv),
                  out: rows(out),
                  groups: [{ start: 0, count: 1, paged: { kv: pending, appended: 1 } }],
                  accumulate,
                }),
              };
            };
            const once = make();
            const found: number[][] = [];
            for (let token = 0; token < tokens; token++) {
              const { product, append, attend } = keep === lasting ? once : make();
              backend.write(x, randoms(seed + token, inputs));
              backend.write(rotation, randoms(seed + 50 + token, headDim));
              backend.write(positions, Uint32Array.of(20 + token));
              backend.matmul(product);
              backend.append(append);
              backend.attend(attend);
              found.push(await fixture.read(out));
            }
            const after = await cache.read();
            found.push(
              after.flatMap(({ slots }) => slots.flatMap(({ key, value, position }) => [...key, ...value, position])),
            );
            found.push(after.flatMap(({ slots }) => slots.flatMap(({ columns }) => Object.values(columns))));
            return found;
          };
          expect(await decode(lasting)).toEqual(await decode(same));
        }),
        context.runs,
      );
    });

    it("is refused once one of its tensors was disposed, whatever lies there now", async () => {
      const { backend, fixture } = context;
      const options = { label: "gone", category: "activations" } as const;
      const gone = backend.upload(tensor("f32", [64, 8], randoms(3, 512)), options);
      const x = fixture.f32([1, 8], randoms(1, 8));
      const out = fixture.f32([1, 64]);
      const product = lasting<MatmulSpec>({ x: rows(x), weight: gone, out: rows(out) });
      for (let i = 0; i < 3; i++) backend.matmul(product);
      expect((await fixture.read(out)).every((value) => value !== 0)).toBe(true);
      gone[Symbol.dispose]();
      backend.clear(out);
      const other = fixture.f32([64, 8], randoms(2, 512));
      backend.matmul(product);
      await expect(backend.flush()).rejects.toMatchObject({
        code: "disposed",
        message: expect.stringContaining("gone") as unknown,
      });
      expect(await fixture.read(out)).toEqual(new Array(64).fill(0));
      backend.matmul({ ...product, weight: other });
      expect((await fixture.read(out)).every((value) => value !== 0)).toBe(true);
    });

    it("may be of two operations", async () => {
      const { backend, fixture } = context;
      const [x, out] = [fixture.f32([2, 4], randoms(1, 8)), fixture.f32([2, 4])];
      const spec = { x: rows(x), weight: fixture.f32([4], [1, 2, 3, 4]), epsilon: 1e-5, out: rows(out) };
      backend.rmsNorm(spec);
      const normed = await fixture.read(out);
      const both = lasting(spec);
      for (let i = 0; i < 3; i++) {
        backend.matmul(both);
        await expect(backend.flush()).rejects.toMatchObject({ code: "shape" });
        backend.clear(out);
        backend.rmsNorm(both);
        expect(await fixture.read(out)).toEqual(normed);
      }
    });
  });
}
