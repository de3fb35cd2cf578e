import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { NOT_A_TOKEN } from "../../backend";
import { rows } from "../../device-tensor";
import { at, randomIntegers, randoms } from "../fixture";
import { naiveGate, naiveNorm, naiveProduct, unflatten } from "../naive";
import type { SuiteContext } from "../suite-context";

const seed = fc.integer({ min: 1, max: 1e6 });
/** embed, rmsNorm and matmul: what has neither a cache nor a neighbour. */
export function denseSuite(context: SuiteContext): void {
  describe("embed", () => {
    it("copies rows of the table", async () => {
      const { backend, fixture } = context;
      const table = randoms(1, 7 * 5);
      const ids = randomIntegers(2, 9, 7);
      const out = fixture.f32([12, 5]);
      backend.embed({
        table: fixture.f32([7, 5], table),
        ids: rows(fixture.u32([10], [0, ...ids]), 1),
        out: rows(out, 2, 9),
      });
      const expected = ids.flatMap((id) => at(unflatten(table, 5), id));
      expect(await fixture.read(out)).toEqual([
        ...new Array<number>(10).fill(0),
        ...expected,
        ...new Array<number>(5).fill(0),
      ]);
    });

    it("leaves a row without a token alone", async () => {
      const { backend, fixture } = context;
      const out = fixture.f32([2, 2], [5, 6, 7, 8]);
      const ids = rows(fixture.u32([2], [NOT_A_TOKEN, 0]));
      backend.embed({ table: fixture.f32([1, 2], [1, 2]), ids, out: rows(out) });
      expect(await fixture.read(out)).toEqual([5, 6, 1, 2]);
    });

    it("names a token outside the vocabulary", async () => {
      const { backend, fixture } = context;
      backend.embed({ table: fixture.f32([7, 5]), ids: rows(fixture.u32([1], [7])), out: rows(fixture.f32([1, 5])) });
      await expect(backend.flush()).rejects.toMatchObject({
        code: "range",
        message: expect.stringMatching(/embed.*7/) as unknown,
      });
    });
  });

  describe("rmsNorm", () => {
    it("norms rows, or heads where the weight is shorter", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 6 }),
          fc.integer({ min: 1, max: 40 }),
          fc.integer({ min: 1, max: 4 }),
          seed,
          async (count, width, heads, s) => {
            const { backend, fixture } = context;
            const x = randoms(s, count * heads * width);
            const weight = randoms(s + 1, width);
            const tensor = fixture.f32([count, heads * width], x);
            const out = fixture.f32([count, heads * width]);
            const epsilon = 1e-5;
            backend.rmsNorm({ x: rows(tensor), weight: fixture.f32([width], weight), epsilon, out: rows(out) });
            const expected = unflatten(x, width).flatMap((run) => naiveNorm(run, Array.from(weight), epsilon));
            expect(await fixture.read(out)).toBeAllclose(expected, context.tolerance);
            backend.rmsNorm({ x: rows(tensor), weight: fixture.f32([width], weight), epsilon, out: rows(tensor) });
            expect(await fixture.read(tensor)).toEqual(await fixture.read(out));
          },
        ),
        context.runs,
      );
    });

    it("refuses a weight that rows do not divide by", async () => {
      const { backend, fixture } = context;
      const x = rows(fixture.f32([2, 6]));
      backend.rmsNorm({ x, weight: fixture.f32([4]), epsilon: 1e-5, out: x });
      await expect(backend.flush()).rejects.toMatchObject({
        code: "shape",
        message: expect.stringContaining("rmsNorm") as unknown,
      });
    });
  });

  describe("matmul", () => {
    const shape = fc.record({
      count: fc.integer({ min: 1, max: 40 }),
      inputs: fc.integer({ min: 1, max: 70 }),
      outputs: fc.integer({ min: 1, max: 70 }),
      gated: fc.boolean(),
      biased: fc.boolean(),
      residual: fc.boolean(),
      normed: fc.boolean(),
      seed,
    });

    it("is activation(norm(x) · weightᵀ + bias) + residual", async () => {
      await fc.assert(
        fc.asyncProperty(shape, async ({ count, inputs, outputs, gated, biased, residual, normed, seed: s }) => {
          const { backend, fixture } = context;
          const rowsOfWeight = gated ? 2 * outputs : outputs;
          const x = randoms(s, count * inputs);
          const weight = randoms(s + 1, rowsOfWeight * inputs);
          const bias = randoms(s + 2, rowsOfWeight);
          const before = randoms(s + 3, count * outputs);
          const gain = randoms(s + 4, inputs);
          const epsilon = 1e-5;
          const out = fixture.f32(
            [count + 2, outputs],
            [...new Array<number>(outputs).fill(7), ...before, ...new Array<number>(outputs).fill(7)],
          );
          backend.matmul({
            x: rows(fixture.f32([count, inputs], x)),
            ...(normed ? { norm: { weight: fixture.f32([inputs], gain), epsilon } } : {}),
            weight: fixture.f32([rowsOfWeight, inputs], weight),
            ...(biased ? { bias: fixture.f32([rowsOfWeight], bias) } : {}),
            ...(residual ? { residual: rows(out, 1, count) } : {}),
            ...(gated ? { activation: "silu-gate" } : {}),
            out: rows(out, 1, count),
          });
          const products = naiveProduct(
            unflatten(x, inputs).map((row) => (normed ? naiveNorm(row, Array.from(gain), epsilon) : row)),
            unflatten(weight, inputs),
            biased ? Array.from(bias) : null,
          );
          const expected = products
            .flatMap((row) => (gated ? naiveGate(row) : row))
            .map((value, i) => value + (residual ? (before[i] ?? NaN) : 0));
          const found = await fixture.read(out);
          expect(found.slice(outputs, -outputs)).toBeAllclose(expected, context.tolerance);
          // The rows around those that were asked for stay as they were.
          expect([...found.slice(0, outputs), ...found.slice(-outputs)]).toEqual(
            new Array<number>(2 * outputs).fill(7),
          );
        }),
        context.runs,
      );
    });

    it("gives a row the same bits alone and among others", async () => {
      await fc.assert(
        fc.asyncProperty(shape, fc.integer({ min: 1, max: 7 }), async ({ count, inputs, outputs, seed: s }, step) => {
          const { backend, fixture } = context;
          const x = rows(fixture.f32([count, inputs], randoms(s, count * inputs)));
          const weight = fixture.f32([outputs, inputs], randoms(s + 1, outputs * inputs));
          const together = fixture.f32([count, outputs]);
          const apart = fixture.f32([count, outputs]);
          backend.matmul({ x, weight, out: rows(together) });
          for (let start = 0; start < count; start += step) {
            const chunk = Math.min(step, count - start);
            backend.matmul({ x: rows(x.tensor, start, chunk), weight, out: rows(apart, start, chunk) });
          }
          expect(await fixture.read(apart)).toBeAllclose(await fixture.read(together), context.lawTolerance);
        }),
        context.runs,
      );
    });

    it("gives a row exactly the same beside up to seven others as alone", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.record({
            count: fc.integer({ min: 2, max: 8 }),
            inputs: fc.constantFrom(6, 64, 1100),
            outputs: fc.constantFrom(5, 64),
            gated: fc.boolean(),
            normed: fc.boolean(),
            seed,
          }),
          async ({ count, inputs, outputs, gated, normed, seed: s }) => {
            const { backend, fixture } = context;
            const x = fixture.f32([count, inputs], randoms(s, count * inputs));
            const weight = fixture.f32(
              [gated ? 2 * outputs : outputs, inputs],
              randoms(s + 1, (gated ? 2 : 1) * outputs * inputs),
            );
            const gain = fixture.f32([inputs], randoms(s + 2, inputs));
            const form = {
              weight,
              ...(normed ? { norm: { weight: gain, epsilon: 1e-5 } } : {}),
              ...(gated ? { activation: "silu-gate" as const } : {}),
            };
            const together = fixture.f32([count, outputs]);
            const apart = fixture.f32([count, outputs]);
            backend.matmul({ ...form, x: rows(x), out: rows(together) });
            for (let row = 0; row < count; row++) {
              backend.matmul({ ...form, x: rows(x, row, 1), out: rows(apart, row, 1) });
            }
            expect(await fixture.read(apart)).toEqual(await fixture.read(together));
          },
        ),
        context.runs,
      );
    });

    it("lets no number that is not one into other rows", async () => {
      const { backend, fixture } = context;
      const x = randoms(1, 4 * 8);
      x[9] = NaN;
      const out = fixture.f32([4, 3]);
      backend.matmul({ x: rows(fixture.f32([4, 8], x)), weight: fixture.f32([3, 8], randoms(2, 24)), out: rows(out) });
      const found = await fixture.read(out);
      expect(found.map(Number.isNaN)).toEqual([0, 1, 2, 3].flatMap((row) => new Array<boolean>(3).fill(row === 1)));
    });

    it.each([
      ["a weight of another width", { weight: [3, 9] }],
      ["a bias of another length", { bias: [4] }],
      ["a norm of another width", { norm: [4] }],
      ["a residual of another width", { residual: [4, 2] }],
      ["a residual of fewer rows", { residual: [3, 3] }],
      ["an output of another width", { out: [4, 4] }],
      ["an output of fewer rows", { out: [3, 3] }],
    ])("refuses %s", async (_, shapes: Partial<Record<"weight" | "bias" | "norm" | "residual" | "out", number[]>>) => {
      const { backend, fixture } = context;
      backend.matmul({
        x: rows(fixture.f32([4, 8])),
        weight: fixture.f32(shapes.weight ?? [3, 8]),
        ...(shapes.bias === undefined ? {} : { bias: fixture.f32(shapes.bias) }),
        ...(shapes.norm === undefined ? {} : { norm: { weight: fixture.f32(shapes.norm), epsilon: 1e-5 } }),
        ...(shapes.residual === undefined ? {} : { residual: rows(fixture.f32(shapes.residual)) }),
        out: rows(fixture.f32(shapes.out ?? [4, 3])),
      });
      await expect(backend.flush()).rejects.toMatchObject({
        code: "shape",
        message: expect.stringContaining("matmul") as unknown,
      });
    });
  });
}
