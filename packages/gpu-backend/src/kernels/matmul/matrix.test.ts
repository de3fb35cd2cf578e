import { QUANTISED_TYPES } from "@winnow/core-tensor";
import * as fc from "fast-check";
import { describe, expect, it, type TestContext } from "vitest";

import { SuiteContext } from "../../../../core-tensor/src/testing/suite-context";
import { PLAIN_CAPABILITIES, type GpuCapabilities } from "../../device/capabilities";
import { DEFAULT_LIMITS } from "../../device/limits";
import { describeGpu, testBackend } from "../../testing/on-gpu";
import { expectedOf, isWebGpu, operandsOf, productBy, worstOf, type OperandOptions } from "../../testing/products";
import type { WebGpuBackend } from "../../webgpu-backend";
import {
  matrixBytes,
  matrixColumns,
  matrixPitch,
  matrixRows,
  matrixThreads,
  matrixTile,
  type MatrixTile,
} from "./matrix-tile";
import { kernelOf } from "./matmul-kernel";
import { productForm } from "./product-shape";
import { bindsRows, TILE_FAMILY, tileKernelOf, type TileChoice, type TileShape } from "./tile-family";

interface Candidate {
  readonly name: string;
  readonly choice: Extract<TileChoice, { readonly kind: "matrix" }>;
}

function matricesOf(shape: TileShape, capabilities: GpuCapabilities): Candidate[] {
  return TILE_FAMILY.candidates(shape, capabilities).flatMap(({ name, choice }) =>
    choice.kind === "matrix" ? [{ name, choice }] : [],
  );
}

interface Product extends TileShape, OperandOptions {
  /** Rows of x. */
  readonly count: number;
}

async function expectExact(on: WebGpuBackend, product: Product, candidates: readonly Candidate[]): Promise<void> {
  const operands = operandsOf(product, product.count, product);
  for (const { name, choice } of candidates) {
    const found = await productBy(on, TILE_FAMILY, product, name, operands);
    const expected = expectedOf(operands, product, choice.split ? "split" : "halves");
    expect(worstOf(found, expected), name).toBeLessThan(1);
  }
}

/** Numbers of rows, inputs and outputs that no tile divides, with all that may come with a product. */
const PRODUCTS: readonly Product[] = [
  { weight: "q4_0", inputs: 96, outputs: 75, gated: false, rows: "many", count: 131 },
  { weight: "f16", inputs: 100, outputs: 9, gated: false, rows: "many", count: 35, biased: true, residual: "other" },
  { weight: "q8_0", inputs: 160, outputs: 70, gated: true, rows: "middling", count: 11, normed: true },
  { weight: "f16", inputs: 68, outputs: 33, gated: true, rows: "many", count: 70, biased: true, residual: "out" },
  { weight: "q4_k", inputs: 256, outputs: 40, gated: false, rows: "middling", count: 32, normed: true, biased: true },
];

const SHAPE: TileShape = { weight: "q4_0", inputs: 4096, outputs: 4096, gated: false, rows: "many" };

/** Such as an NVIDIA GPU tells of itself. */
const NVIDIA: GpuCapabilities = {
  ...PLAIN_CAPABILITIES,
  limits: { ...DEFAULT_LIMITS, maxComputeWorkgroupStorageSize: 49_152, maxComputeInvocationsPerWorkgroup: 1024 },
  f16: true,
  subgroups: { min: 32, max: 32 },
  subgroupMatrices: [
    { componentType: "f16", resultComponentType: "f16", M: 16, N: 16, K: 16 },
    { componentType: "f16", resultComponentType: "f32", M: 16, N: 8, K: 16 },
    { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 },
    { componentType: "i8", resultComponentType: "i32", M: 16, N: 16, K: 32 },
  ],
};

describeGpu("matrices", () => {
  const context = new SuiteContext(() => testBackend(), {});

  /** The backend, where its device multiplies matrices. */
  const backend = ({ skip }: TestContext): WebGpuBackend => {
    if (!isWebGpu(context.backend)) throw new Error("expected the WebGPU backend");
    const { gpu } = context.backend;
    skip(gpu.capabilities.subgroupMatrices.length === 0, `${gpu.adapter.name} multiplies no matrices`);
    return context.backend;
  };

  it.for(PRODUCTS.map((product) => ({ name: `${TILE_FAMILY.keyOf(product)} of ${product.count}`, product })))(
    "are as exact as floats where they are split, and nearly where they are not: $name",
    async ({ product }, test) => {
      const on = backend(test);
      const candidates = matricesOf(product, on.gpu.capabilities);
      expect(candidates.length).toBeGreaterThan(1);
      await expectExact(on, product, candidates);
    },
  );

  const others = QUANTISED_TYPES.filter((type) => PRODUCTS.every(({ weight }) => weight !== type));
  it.for(others)("are as exact for weights of %s", async (weight, test) => {
    const on = backend(test);
    const product = { weight, inputs: 256, outputs: 5, gated: false, rows: "middling", count: 9 } as const;
    await expectExact(on, product, matricesOf(product, on.gpu.capabilities).slice(0, 1));
  });

  it("are as exact for rows of any size, and for small elements beside great ones", async (test) => {
    const on = backend(test);
    const shape = { weight: "q4_0", inputs: 64, outputs: 8, gated: false, rows: "middling" } as const;
    const sizes = [2 ** 60, 2 ** -60, 2 ** 120, 0, 2 ** -100, 1, 2 ** 17, 2 ** -25, 3];
    const operands = operandsOf(shape, sizes.length);
    sizes.forEach((size, row) => {
      for (let i = row * 64; i < row * 64 + 64; i++) operands.x[i] = (operands.x[i] ?? NaN) * size;
    });
    // As some models' activations have them.
    operands.x[5 * 64 + 17] = 3000;
    for (const { name, choice } of matricesOf(shape, on.gpu.capabilities)) {
      const found = await productBy(on, TILE_FAMILY, shape, name, operands);
      const expected = expectedOf(operands, shape, choice.split ? "split" : "halves");
      sizes.forEach((size, row) => {
        const of = <T>(list: readonly T[]): T[] => list.slice(row * 8, row * 8 + 8);
        if (size === 0) expect(of(found), name).toEqual(new Array(8).fill(0));
        else expect(worstOf(of(found), of(expected)), `${name}, row ${row}`).toBeLessThan(1);
      });
    }
  });

  it.for([
    ["sixteen, as NVIDIA's have", 16, 16, 16, 32],
    ["eight by sixteen, as Intel's have", 8, 16, 16, 16],
  ] as const)("have a shader that compiles for sizes of %s", async ([, M, N, K, lanes], test) => {
    const { device } = backend(test).gpu;
    const capabilities = {
      ...NVIDIA,
      subgroups: { min: lanes, max: lanes },
      subgroupMatrices: [{ componentType: "f16", resultComponentType: "f32", M, N, K }],
    };
    for (const gated of [false, true]) {
      for (const rows of ["middling", "many"] as const) {
        const shape = { ...SHAPE, gated, rows };
        const candidates = matricesOf(shape, capabilities);
        expect(candidates.length).toBeGreaterThan(3);
        for (const { name, choice } of candidates) {
          const { wgsl } = kernelOf(tileKernelOf(choice, productForm(shape)));
          const { messages } = await device.createShaderModule({ code: wgsl }).getCompilationInfo();
          expect(messages, name).toEqual([]);
        }
      }
    }
  });

  it("keep what is no number in its own row", async (test) => {
    const on = backend(test);
    const shape = { weight: "q8_0", inputs: 64, outputs: 6, gated: false, rows: "middling" } as const;
    for (const normed of [false, true]) {
      const clean = operandsOf(shape, 9, { normed });
      const broken = { ...clean, x: clean.x.slice() };
      broken.x[2 * 64 + 5] = NaN;
      broken.x[4 * 64] = Infinity;
      broken.x[5 * 64 + 63] = -Infinity;
      for (const { name } of matricesOf(shape, on.gpu.capabilities)) {
        const expected = await productBy(on, TILE_FAMILY, shape, name, clean);
        const found = await productBy(on, TILE_FAMILY, shape, name, broken);
        const rowOf = (i: number): number => Math.floor(i / shape.outputs);
        found.forEach((value, i) => {
          if ([2, 4, 5].includes(rowOf(i))) expect(Number.isFinite(value), `${name} ${i}`).toBe(false);
          else expect(value, `${name} ${i}`).toBe(expected[i]);
        });
      }
    }
  });
});

describe("matrix candidates", () => {
  it("are of several tiles, of which those that round need permission, and never the first", () => {
    const candidates = TILE_FAMILY.candidates(SHAPE, NVIDIA);
    expect(candidates[0]?.choice.kind).toBe("floats");
    const names = candidates.filter(({ choice }) => choice.kind === "matrix").map(({ name, rounds }) => [name, rounds]);
    expect(names).toEqual([
      ["matrix 64×64 split", false],
      ["matrix 128×64 split", false],
      ["matrix 128×128 split", false],
      ["matrix 64×64 halves", true],
      ["matrix 128×64 halves", true],
      ["matrix 128×128 halves", true],
    ]);
    const [first] = matricesOf(SHAPE, NVIDIA);
    expect(first?.choice.tile).toMatchObject({ M: 16, N: 16, K: 16, lanes: 32, tall: 2, wide: 2, depth: 32 });
  });

  it.each<[string, Partial<TileShape>, Partial<GpuCapabilities>]>([
    ["without the feature", {}, { subgroupMatrices: [] }],
    ["where sums would be halves", {}, { subgroupMatrices: NVIDIA.subgroupMatrices.slice(0, 1) }],
    ["without halves in shaders", {}, { f16: false }],
    ["without subgroups", {}, { subgroups: null }],
    ["where subgroups have one size or another", {}, { subgroups: { min: 32, max: 64 } }],
    ["for weights that halves may not hold", { weight: "f32" }, {}],
    ["for others that they may not", { weight: "bf16" }, {}],
    ["for rows that do not divide into vectors", { weight: "f16", inputs: 70 }, {}],
  ])("are none %s", (_, shape, capabilities) => {
    expect(matricesOf({ ...SHAPE, ...shape }, { ...NVIDIA, ...capabilities })).toEqual([]);
  });

  it("give way to floats where halves of so many rows could not be bound", () => {
    const [choice] = matricesOf(SHAPE, NVIDIA).map((of) => of.choice);
    if (choice === undefined) throw new Error("no candidate");
    const rows = DEFAULT_LIMITS.maxStorageBufferBindingSize / 4096 / 4;
    expect(bindsRows(choice, { rows, inputs: 4096, outputs: 1 }, NVIDIA)).toBe(true);
    expect(bindsRows(choice, { rows: rows + 1, inputs: 4096, outputs: 1 }, NVIDIA)).toBe(false);
  });
});

describe("a tile of matrices", () => {
  const size = fc.constantFrom(4, 8, 12, 16, 32);
  const devices = fc.record({
    M: size,
    N: size,
    K: fc.constantFrom(8, 16, 32, 64),
    lanes: fc.constantFrom(4, 8, 16, 32, 64),
    storage: fc.constantFrom(16_384, 32_768, 49_152),
    invocations: fc.constantFrom(128, 256, 1024),
  });
  const plans = fc.record({
    rows: fc.constantFrom(32, 64, 96, 128),
    columns: fc.constantFrom(32, 64, 128),
    down: fc.constantFrom(1, 2, 4),
    across: fc.constantFrom(1, 2, 4),
  });
  const contents = fc.record({ parts: fc.constantFrom(1, 2), halves: fc.constantFrom(1 as const, 2 as const) });

  const deviceOf = ({ M, N, K, lanes, storage, invocations }: Device): GpuCapabilities => ({
    ...NVIDIA,
    limits: {
      ...DEFAULT_LIMITS,
      maxComputeWorkgroupStorageSize: storage,
      maxComputeInvocationsPerWorkgroup: invocations,
      maxComputeWorkgroupSizeX: invocations,
    },
    subgroups: { min: lanes, max: lanes },
    subgroupMatrices: [{ componentType: "f16", resultComponentType: "f32", M, N, K }],
  });

  it("is as large as planned, of whole matrices, within the device's limits, and aligned", () => {
    let made = 0;
    fc.assert(
      fc.property(devices, plans, contents, (device, plan, of) => {
        const tile = matrixTile(plan, of, deviceOf(device));
        if (tile === null) return;
        made++;
        expect([matrixRows(tile), matrixColumns(tile)]).toEqual([plan.rows, plan.columns]);
        const counts = [tile.tall, tile.wide / of.parts, tile.depth / tile.K];
        expect(counts.every((count) => Number.isInteger(count) && count > 0)).toBe(true);
        expect(matrixThreads(tile)).toBe(plan.down * plan.across * device.lanes);
        expect(matrixThreads(tile)).toBeLessThanOrEqual(device.invocations);
        expect(matrixBytes(tile, of)).toBeLessThanOrEqual(device.storage);
        const rowBytes = [2 * tile.K, 2 * matrixPitch(tile), 4 * tile.N];
        expect(rowBytes.every((bytes) => bytes % 16 === 0)).toBe(true);
        expect(placesOf(tile, of.parts)).toEqual(Array.from({ length: plan.columns / of.parts }, (_, i) => i));
      }),
      { numRuns: 500 },
    );
    expect(made).toBeGreaterThan(20);
  });

  it("is none only where it is none of whole matrices or exceeds a limit", () => {
    fc.assert(
      fc.property(devices, plans, contents, (device, plan, of) => {
        const unlimited = { ...device, storage: 2 ** 30, invocations: 2 ** 20 };
        const divides =
          plan.rows % (plan.down * device.M) === 0 && plan.columns % (plan.across * device.N * of.parts) === 0;
        expect(matrixTile(plan, of, deviceOf(unlimited)) !== null).toBe(divides);
      }),
      { numRuns: 200 },
    );
  });

  it("of matrices of eight, which subgroups of eight lanes multiply, is as for those of sixteen", () => {
    const plan = { rows: 64, columns: 64, down: 2, across: 2 };
    const of = { parts: 2, halves: 2 } as const;
    const device = { M: 8, N: 8, K: 8, lanes: 8, storage: 32_768, invocations: 1024 };
    expect(matrixTile(plan, of, deviceOf(device))).toEqual({
      ...{ M: 8, N: 8, K: 8, lanes: 8 },
      ...{ down: 2, across: 2, tall: 4, wide: 4, depth: 32 },
    });
  });
});

interface Device {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly lanes: number;
  readonly storage: number;
  readonly invocations: number;
}

/** The outputs of a tile's columns of one part, in ascending order: as the kernel counts them. */
function placesOf({ across, wide, N }: MatrixTile, parts: number): number[] {
  const [columns, outputs] = [wide * N, (wide * N) / parts];
  return Array.from({ length: across * columns }, (_, column) => column)
    .filter((column) => column % columns < outputs)
    .map((column) => Math.floor(column / columns) * outputs + ((column % columns) % outputs))
    .sort((a, b) => a - b);
}
