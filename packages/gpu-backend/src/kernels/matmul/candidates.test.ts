import { isQuantised } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { PLAIN_CAPABILITIES } from "../../device/capabilities";
import { describeOnDevices } from "../../testing/on-gpu";
import { expectedOf, isWebGpu, operandsOf, productBy, worstOf } from "../../testing/products";
import type { WebGpuBackend } from "../../webgpu-backend";
import { FEW_FAMILY, type FewShape } from "./few-family";
import { TILE_FAMILY, type TileShape } from "./tile-family";

const FEW: readonly FewShape[] = [
  { weight: "f32", inputs: 132, outputs: 9, gated: false, normed: true },
  { weight: "q8_0", inputs: 160, outputs: 9, gated: false, normed: false },
  { weight: "q4_0", inputs: 160, outputs: 9, gated: true, normed: true },
  { weight: "q4_k", inputs: 256, outputs: 5, gated: false, normed: true },
];

const TILE: readonly TileShape[] = [
  { weight: "q4_0", inputs: 96, outputs: 20, gated: false, rows: "many" },
  { weight: "f32", inputs: 70, outputs: 9, gated: true, rows: "middling" },
];

describeOnDevices("candidates", (context) => {
  const backend = (): WebGpuBackend => {
    if (!isWebGpu(context.backend)) throw new Error("expected the WebGPU backend");
    return context.backend;
  };

  it.each(FEW.map((shape) => [FEW_FAMILY.keyOf(shape), shape] as const))("all compute %s", async (_, shape) => {
    const operands = operandsOf(shape, 3, { normed: shape.normed });
    const candidates = FEW_FAMILY.candidates(shape, backend().gpu.capabilities);
    expect(candidates.length).toBeGreaterThan(1);
    expect(candidates.some(({ rounds }) => rounds)).toBe(isQuantised(shape.weight));
    for (const { name, rounds } of candidates) {
      const found = await productBy(backend(), FEW_FAMILY, shape, name, operands);
      const expected = expectedOf(operands, shape, rounds ? "bytes" : "floats");
      expect(worstOf(found, expected), name).toBeLessThan(1);
      // And none of it depends on the rows beside it.
      const alone = await productBy(backend(), FEW_FAMILY, shape, name, {
        ...operands,
        count: 1,
        x: operands.x.slice(0, shape.inputs),
      });
      expect(alone, name).toEqual(found.slice(0, shape.outputs));
    }
  });

  it.each(TILE.map((shape) => [TILE_FAMILY.keyOf(shape), shape] as const))(
    "of floats all give the bits of %s",
    async (_, shape) => {
      const operands = operandsOf(shape, shape.rows === "many" ? 35 : 11);
      const candidates = TILE_FAMILY.candidates(shape, backend().gpu.capabilities);
      const [first, ...others] = candidates.filter(({ choice }) => choice.kind === "floats");
      expect(candidates[0]).toBe(first);
      expect(others.length).toBeGreaterThan(0);
      const found = await productBy(backend(), TILE_FAMILY, shape, first?.name ?? "", operands);
      expect(worstOf(found, expectedOf(operands, shape, "floats"))).toBeLessThan(1);
      for (const { name } of others) {
        expect(await productBy(backend(), TILE_FAMILY, shape, name, operands), name).toEqual(found);
      }
    },
  );

  it("keep what is no number in its own row where rows are rounded", async () => {
    const shape: FewShape = { weight: "q8_0", inputs: 64, outputs: 4, gated: false, normed: false };
    const operands = operandsOf(shape, 3);
    operands.x[70] = NaN;
    operands.x[130] = Infinity;
    const found = await productBy(backend(), FEW_FAMILY, shape, "dot 32×2", operands);
    expect(found.map(Number.isFinite)).toEqual([0, 1, 2].flatMap((row) => new Array<boolean>(4).fill(row === 0)));
  });
});

it("has no candidate that rounds without packed products, and one that fits wherever WebGPU does", () => {
  for (const shape of FEW) {
    const candidates = FEW_FAMILY.candidates({ ...shape, inputs: 14_336, outputs: 4096 }, PLAIN_CAPABILITIES);
    expect(candidates.filter(({ rounds }) => rounds)).toEqual([]);
    expect(candidates.length).toBeGreaterThan(0);
  }
  for (const shape of TILE) {
    const kinds = TILE_FAMILY.candidates(shape, PLAIN_CAPABILITIES).map(({ choice }) => choice.kind);
    expect(new Set(kinds)).toEqual(new Set(["floats"]));
  }
});
