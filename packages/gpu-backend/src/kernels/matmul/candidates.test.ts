import { isQuantised, rows } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { at, Fixture } from "../../../../core-tensor/src/testing/fixture";
import { naiveNorm, naiveProduct, silu, unflatten } from "../../../../core-tensor/src/testing/naive";
import { naiveRows, randomRows } from "../../../../core-tensor/src/testing/naive-quantised";
import { PLAIN_CAPABILITIES } from "../../device/capabilities";
import { describeOnDevices, randoms } from "../../testing/on-gpu";
import type { KernelFamily } from "../../tune/kernel-family";
import { createWebGpuBackend, type WebGpuBackend } from "../../webgpu-backend";
import { FEW_FAMILY, type FewShape } from "./few-family";
import type { ProductShape } from "./product-shape";
import { TILE_FAMILY, type TileShape } from "./tile-family";

const EPSILON = 1e-5;

/** Operands of a shape, as they are on the device and as numbers. */
interface Operands {
  readonly count: number;
  readonly x: Float32Array;
  readonly gain: Float32Array | null;
  /** Of a quantised weight the words, else the elements. */
  readonly stored: Uint32Array | Float32Array;
  readonly weight: number[][];
}

function operandsOf(shape: ProductShape, count: number, normed: boolean): Operands {
  const weightRows = shape.outputs * (shape.gated ? 2 : 1);
  const stored = isQuantised(shape.weight)
    ? randomRows(shape.weight, weightRows, shape.inputs, 3)
    : randoms(3, weightRows * shape.inputs);
  const values =
    isQuantised(shape.weight) && stored instanceof Uint32Array ? naiveRows(shape.weight, stored, shape.inputs) : stored;
  return {
    count,
    x: randoms(1, count * shape.inputs),
    gain: normed ? randoms(2, shape.inputs) : null,
    stored,
    weight: unflatten(values, shape.inputs),
  };
}

/**
 * The product in float64, and how far another may be from it: f32's rounding of each term and sum, and where x is rounded to
 * eight bits half a step of its block, max|x| / 127 / 2, for each element.
 */
function expectedOf(
  { x, gain, weight, count }: Operands,
  shape: ProductShape,
  rounds: boolean,
): { value: number; error: number }[] {
  const { inputs, outputs, gated } = shape;
  const sources = unflatten(x, inputs).map((row) => (gain === null ? row : naiveNorm(row, Array.from(gain), EPSILON)));
  const magnitudes = sources.map((row) => row.map(Math.abs));
  const sizes = weight.map((row) => row.map(Math.abs));
  const steps = magnitudes.map((row) =>
    row.map((_, i) => (rounds ? Math.max(...row.slice(i - (i % 32), i - (i % 32) + 32)) / 254 : 0)),
  );
  const values = naiveProduct(sources, weight, null);
  const terms = naiveProduct(magnitudes, sizes, null);
  const roundings = naiveProduct(steps, sizes, null);
  const found = (row: number, output: number): { value: number; error: number } => ({
    value: at(at(values, row), output),
    error: at(at(roundings, row), output) + (inputs + 16) * 2 ** -23 * at(at(terms, row), output) + 1e-6,
  });
  return Array.from({ length: count * outputs }, (_, i) => {
    const [row, output] = [Math.floor(i / outputs), i % outputs];
    const gate = found(row, output);
    if (!gated) return gate;
    const up = found(row, output + outputs);
    // silu has a slope of at most 1.1.
    const gateError = 1.1 * gate.error;
    const passed = silu(gate.value);
    const error = gateError * Math.abs(up.value) + Math.abs(passed) * up.error + gateError * up.error;
    return { value: passed * up.value, error: error + 1e-5 * Math.abs(passed * up.value) };
  });
}

/** The product by a candidate, on the device of a backend. */
async function productBy<Shape extends ProductShape, Choice>(
  { gpu }: WebGpuBackend,
  family: KernelFamily<Shape, Choice>,
  shape: Shape,
  variant: string,
  { count, x, gain, stored }: Operands,
): Promise<number[]> {
  const source = family.sourceOf(shape, gpu.capabilities);
  const kernels = new Map([[family.keyOf(shape), { variant, source }]]);
  const fixture = new Fixture(createWebGpuBackend(gpu, { kernels }));
  const { inputs, outputs, gated } = shape;
  const extents = [outputs * (gated ? 2 : 1), inputs];
  const weight =
    isQuantised(shape.weight) && stored instanceof Uint32Array
      ? fixture.quantised(shape.weight, extents, stored)
      : fixture.f32(extents, stored);
  const out = fixture.f32([count, outputs]);
  fixture.backend.matmul({
    x: rows(fixture.f32([count, inputs], x)),
    ...(gain === null ? {} : { norm: { weight: fixture.f32([inputs], gain), epsilon: EPSILON } }),
    weight,
    ...(gated ? { activation: "silu-gate" } : {}),
    out: rows(out),
  });
  const found = await fixture.read(out);
  fixture.release();
  return found;
}

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
    const operands = operandsOf(shape, 3, shape.normed);
    const candidates = FEW_FAMILY.candidates(shape, backend().gpu.capabilities);
    expect(candidates.length).toBeGreaterThan(1);
    expect(candidates.some(({ rounds }) => rounds)).toBe(isQuantised(shape.weight));
    for (const { name, rounds } of candidates) {
      const found = await productBy(backend(), FEW_FAMILY, shape, name, operands);
      const expected = expectedOf(operands, shape, rounds);
      const worst = Math.max(...expected.map(({ value, error }, i) => Math.abs(at(found, i) - value) / error));
      expect(worst, name).toBeLessThan(1);
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
    "all give the bits of %s",
    async (_, shape) => {
      const operands = operandsOf(shape, shape.rows === "many" ? 35 : 11, false);
      const [first, ...others] = TILE_FAMILY.candidates(shape, backend().gpu.capabilities);
      const expected = expectedOf(operands, shape, false);
      const found = await productBy(backend(), TILE_FAMILY, shape, first?.name ?? "", operands);
      expect(expected.every(({ value, error }, i) => Math.abs(at(found, i) - value) < error)).toBe(true);
      for (const { name } of others) {
        expect(await productBy(backend(), TILE_FAMILY, shape, name, operands), name).toEqual(found);
      }
    },
  );

  it("keep what is no number in its own row where rows are rounded", async () => {
    const shape: FewShape = { weight: "q8_0", inputs: 64, outputs: 4, gated: false, normed: false };
    const operands = operandsOf(shape, 3, false);
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
  for (const shape of TILE) expect(TILE_FAMILY.candidates(shape, PLAIN_CAPABILITIES)[0]).toBeDefined();
});

function isWebGpu(backend: object): backend is WebGpuBackend {
  return "gpu" in backend;
}
