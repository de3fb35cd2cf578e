import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { NOT_A_TOKEN } from "../../backend";
import { rows, type DeviceTensor } from "../../device-tensor";
import { QUANTISED_TYPES, isQuantised, type QuantisedType } from "../../quantised-row";
import { elementCount } from "../../shape";
import { at, randomIntegers, randoms, type Fixture } from "../fixture";
import { gelu, naiveGate, naiveNorm, naiveProduct, silu, unflatten } from "../naive";
import { randomRows } from "../naive-quantised";
import type { SuiteContext } from "../suite-context";

const seed = fc.integer({ min: 1, max: 1e6 });

type WeightType = "f32" | "f16" | "bf16" | QuantisedType;

function weightOf(fixture: Fixture, type: WeightType, shape: readonly [number, number], s: number): DeviceTensor {
  if (isQuantised(type)) return fixture.quantised(type, shape, randomRows(type, ...shape, s));
  const values = randoms(s, elementCount(shape));
  return type === "f32" ? fixture.f32(shape, values) : fixture.halves(type, shape, values);
}

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

    it("scales them", async () => {
      const { backend, fixture } = context;
      const out = fixture.f32([2, 4]);
      backend.embed({
        table: fixture.f32([3, 4], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ids: rows(fixture.u32([2], [2, 0])),
        scale: 1.5,
        out: rows(out),
      });
      expect(await fixture.read(out)).toEqual([12, 13.5, 15, 16.5, 0, 1.5, 3, 4.5]);
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

    it("norms the first heads of a row by a weight each, and adds to what was there", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 5 }),
          fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(32, 64)),
          fc.integer({ min: 1, max: 4 }),
          fc.integer({ min: 0, max: 2 }),
          fc.boolean(),
          seed,
          async (count, headDim, heads, others, residual, s) => {
            const { backend, fixture } = context;
            const width = (heads + others) * headDim;
            const x = randoms(s, count * width);
            const weight = randoms(s + 1, heads * headDim);
            const before = randoms(s + 2, count * width);
            const epsilon = 1e-6;
            const expected = unflatten(x, headDim).flatMap((run, i) => {
              const head = i % (heads + others);
              const old = unflatten(before, headDim)[i] ?? [];
              if (head >= heads) return old;
              const normed = naiveNorm(run, at(unflatten(weight, headDim), head), epsilon);
              return normed.map((value, d) => value + (residual ? at(old, d) : 0));
            });
            const out = fixture.f32([count, width], before);
            const norm = { weight: fixture.f32([heads, headDim], weight), epsilon };
            backend.rmsNorm({
              x: rows(fixture.f32([count, width], x)),
              ...norm,
              ...(residual ? { residual: rows(out) } : {}),
              out: rows(out),
            });
            expect(await fixture.read(out)).toBeAllclose(expected, context.tolerance);
            const inPlace = fixture.f32([count, width], x);
            const added = residual ? { residual: rows(fixture.f32([count, width], before)) } : {};
            backend.rmsNorm({ x: rows(inPlace), ...norm, ...added, out: rows(inPlace) });
            const found = unflatten(Float32Array.from(await fixture.read(inPlace)), headDim);
            expect(found.filter((_, i) => i % (heads + others) < heads).flat()).toBeAllclose(
              unflatten(Float32Array.from(expected), headDim)
                .filter((_, i) => i % (heads + others) < heads)
                .flat(),
              context.tolerance,
            );
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
      gate: fc.constantFrom(null, "silu-gate" as const, "gelu-gate" as const),
      softCap: fc.constantFrom(null, 0.5),
      biased: fc.boolean(),
      residual: fc.boolean(),
      normed: fc.boolean(),
      seed,
    });

    it("is activation(norm(x) · weightᵀ + bias) + residual", async () => {
      await fc.assert(
        fc.asyncProperty(
          shape,
          async ({ count, inputs, outputs, gate, softCap, biased, residual, normed, seed: s }) => {
            const { backend, fixture } = context;
            const rowsOfWeight = gate !== null ? 2 * outputs : outputs;
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
              ...(gate === null ? {} : { activation: gate }),
              ...(softCap === null ? {} : { softCap }),
              out: rows(out, 1, count),
            });
            const products = naiveProduct(
              unflatten(x, inputs).map((row) => (normed ? naiveNorm(row, Array.from(gain), epsilon) : row)),
              unflatten(weight, inputs),
              biased ? Array.from(bias) : null,
            );
            const expected = products
              .flatMap((row) => (gate === null ? row : naiveGate(row, gate === "silu-gate" ? silu : gelu)))
              .map((value) => (softCap === null ? value : softCap * Math.tanh(value / softCap)))
              .map((value, i) => value + (residual ? (before[i] ?? NaN) : 0));
            const found = await fixture.read(out);
            expect(found.slice(outputs, -outputs)).toBeAllclose(expected, context.tolerance);
            // The rows around those that were asked for stay as they were.
            expect([...found.slice(0, outputs), ...found.slice(-outputs)]).toEqual(
              new Array<number>(2 * outputs).fill(7),
            );
          },
        ),
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

    it("gives a row exactly the same beside others as alone, in as many as steps may have", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.record({
            asked: fc.integer({ min: 2, max: 40 }),
            type: fc.constantFrom("f32" as const, "f16" as const, "bf16" as const, ...QUANTISED_TYPES),
            width: fc.constantFrom(6, 64, 1100),
            outputs: fc.constantFrom(5, 64),
            gated: fc.boolean(),
            normed: fc.boolean(),
            seed,
          }),
          async ({ asked, type, width, outputs, gated, normed, seed: s }) => {
            const { backend, fixture } = context;
            const count = Math.min(asked, backend.stepRows);
            const inputs = isQuantised(type) ? Math.ceil(width / 256) * 256 : width;
            const x = fixture.f32([count, inputs], randoms(s, count * inputs));
            const shape = [gated ? 2 * outputs : outputs, inputs] as const;
            const weight = weightOf(fixture, type, shape, s + 1);
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
