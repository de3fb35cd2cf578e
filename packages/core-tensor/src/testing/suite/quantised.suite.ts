import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { rows } from "../../device-tensor";
import { QUANTISED_TYPES } from "../../quantised-row";
import { randoms } from "../fixture";
import { naiveGate, naiveProduct, unflatten } from "../naive";
import { naiveRounded, naiveRows, randomRows } from "../naive-quantised";
import type { SuiteContext } from "../suite-context";

const seed = fc.integer({ min: 1, max: 1e6 });

/** embed and matmul of weights that stay quantised. */
export function quantisedSuite(context: SuiteContext): void {
  const widthOf = (type: string, groups: number): number => groups * (type.endsWith("_k") ? 256 : 32);

  describe.each(QUANTISED_TYPES)("a weight in %s", (type) => {
    it("is multiplied as the numbers that it stands for", async () => {
      const shape = fc.record({
        count: fc.constantFrom(1, 3, 9, 40),
        groups: fc.integer({ min: 1, max: 3 }),
        outputs: fc.integer({ min: 1, max: 40 }),
        gated: fc.boolean(),
        column: fc.constantFrom(null, 0, 5),
        seed,
      });
      await fc.assert(
        fc.asyncProperty(shape, async ({ count, groups, outputs, gated, column, seed: s }) => {
          const { backend, fixture } = context;
          const inputs = widthOf(type, groups);
          const rowsOfWeight = gated ? 2 * outputs : outputs;
          const x = randoms(s, count * inputs);
          const words = randomRows(type, rowsOfWeight, inputs, s);
          const width = outputs + (column === null ? 0 : column + 2);
          const out = fixture.f32([count, width], new Array<number>(count * width).fill(7));
          backend.matmul({
            x: rows(fixture.f32([count, inputs], x)),
            weight: fixture.quantised(type, [rowsOfWeight, inputs], words),
            ...(gated ? { activation: "silu-gate" } : {}),
            ...(column === null ? {} : { column }),
            out: rows(out),
          });
          const multiplied = context.roundingTypes.has(type) ? naiveRounded(x) : x;
          const plain = naiveProduct(
            unflatten(multiplied, inputs),
            unflatten(naiveRows(type, words, inputs), inputs),
            null,
          );
          const products = plain.map((row) => (gated ? naiveGate(row) : row));
          // Where a gate is large, what it lets pass is off by as many times its own rounding.
          const largest = plain.flat().reduce((most, product) => Math.max(most, Math.abs(product)), 0);
          const atol = 1e-4 + (gated ? 2e-5 * largest : 0);
          const before = new Array<number>(column ?? 0).fill(7);
          const expected = products.flatMap((row) => [
            ...before,
            ...row,
            ...new Array<number>(width - outputs - before.length).fill(7),
          ]);
          expect(await fixture.read(out)).toBeAllclose(expected, { rtol: 1e-4, atol });
        }),
        context.runs,
      );
    });

    it("is looked up exactly", async () => {
      const { backend, fixture } = context;
      const width = widthOf(type, 3);
      const words = randomRows(type, 6, width, 5);
      const out = fixture.f32([3, width]);
      const ids = [5, 0, 3];
      const table = fixture.quantised(type, [6, width], words);
      backend.embed({ table, ids: rows(fixture.u32([3], ids)), out: rows(out) });
      const expected = unflatten(naiveRows(type, words, width), width);
      // Whether a zero has a sign is nobody's business.
      const unsigned = (value: number): number => Math.fround(value) + 0;
      expect((await fixture.read(out)).map(unsigned)).toEqual(ids.flatMap((id) => (expected[id] ?? []).map(unsigned)));
    });
  });

  it("has no elements that can be read or written one by one", async () => {
    const { backend, fixture } = context;
    const weight = fixture.quantised("q8_0", [2, 32], randomRows("q8_0", 2, 32, 1));
    await expect(backend.download(weight)).rejects.toMatchObject({ code: "dtype" });
    expect(() => {
      backend.write(weight, new Uint32Array(1));
    }).toThrow(expect.objectContaining({ code: "dtype" }));
    expect(() => {
      backend.copy(rows(weight, 0, 1), rows(weight, 1, 1));
    }).toThrow(expect.objectContaining({ code: "dtype" }));
  });

  it("takes the bytes of its words", () => {
    const { backend, fixture } = context;
    const before = backend.memory.snapshot().weights;
    fixture.quantised("q4_0", [4, 64], randomRows("q4_0", 4, 64, 1));
    // Eight words of four bits and two halves a row.
    expect(backend.memory.snapshot().weights - before).toBe(4 * 9 * 4);
  });
}
