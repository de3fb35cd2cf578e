import type { GpuCapabilities } from "../../device/capabilities";
import { KernelFamily, type KernelCandidate } from "../../tune/kernel-family";
import type { MatmulForm } from "./matmul-form.wgsl";
import { halvesBytes, halvesKernelOf } from "./matmul-halves";
import { kernelOf, matrixForm, type MatmulKernel, type MatmulSize } from "./matmul-kernel";
import { matrixContents } from "./matmul-matrix.wgsl";
import { planProduct } from "./matmul-plan";
import { tileBytes, type MatmulTileVariant } from "./matmul-tile.wgsl";
import { matrixColumns, matrixRows, matrixTile, type MatrixTile, type TilePlan } from "./matrix-tile";
import { productForm, productKey, productSpecs, type ProductShape } from "./product-shape";

/** Rows up to which half as wide a tile leaves less of it empty. */
const MIDDLING_ROWS = 32;
/** Rows of a long prompt to time, on a GPU and in software. */
const MANY_ROWS = { device: 256, software: 64 };

export interface TileShape extends ProductShape {
  readonly rows: "middling" | "many";
}

/** A tile of floats. Each output is summed up in one order, so that all of them give the same bits. */
export type FloatTile = { readonly kind: "floats" } & Pick<MatmulTileVariant, "side" | "depth">;

/**
 * Which tile many rows are multiplied in: of floats, or in subgroup matrices of halves. Those that are `split` are as exact as
 * floats, and differ from them by the order of sums.
 */
export type TileChoice = FloatTile | { readonly kind: "matrix"; readonly tile: MatrixTile; readonly split: boolean };

/** Every device has the memory and the threads for this one. */
const NARROW: FloatTile = { kind: "floats", side: 8, depth: 4 };
const WIDE: FloatTile = { kind: "floats", side: 16, depth: 4 };
const FLOAT_TILES: readonly FloatTile[] = [
  WIDE,
  NARROW,
  { kind: "floats", side: 16, depth: 8 },
  { kind: "floats", side: 8, depth: 8 },
];

/** Tiles of matrices to try: each of their subgroups has up to 32 by 64 sums, which fit the registers of 32 lanes. */
const MATRIX_TILES: Readonly<Record<TileShape["rows"], readonly TilePlan[]>> = {
  middling: [
    { rows: 32, columns: 64, down: 2, across: 2 },
    { rows: 32, columns: 128, down: 1, across: 4 },
  ],
  many: [
    { rows: 64, columns: 64, down: 2, across: 2 },
    { rows: 128, columns: 64, down: 4, across: 1 },
    { rows: 128, columns: 128, down: 4, across: 2 },
  ],
};

export function rowsClass(rows: number): TileShape["rows"] {
  return rows > MIDDLING_ROWS ? "many" : "middling";
}

/** Products of more than `FEW_ROWS` rows. */
export const TILE_FAMILY = new KernelFamily<TileShape, TileChoice>({
  name: "matmul.tile",
  keyOf: (shape) => `${productKey(shape)} ${shape.rows}`,
  candidates: tileCandidates,
  wgslOf: (shape, choice, capabilities) => {
    const chosen = tileKernelOf(choice, productForm(shape));
    const halves =
      chosen.kind === "matrix"
        ? [null, "f32" as const].map((norm) => halvesKernelOf(shape.inputs, norm, chosen.variant, capabilities).wgsl)
        : [];
    return [...halves, kernelOf(chosen).wgsl].join("");
  },
  siblings: (shape) => [
    { ...shape, rows: "middling" },
    { ...shape, rows: "many" },
  ],
  workload: (shape, bench) => {
    const many = bench.software ? MANY_ROWS.software : MANY_ROWS.device;
    const specOf = productSpecs(shape, shape.rows === "many" ? many : MIDDLING_ROWS, false, bench);
    return (choice, repetition) =>
      planProduct(specOf(repetition), bench.capabilities, (form) => tileKernelOf(choice, form));
  },
});

/** The kernel of a choice. Matrices are no choice for a form that they cannot multiply, which gets floats. */
export function tileKernelOf(choice: TileChoice, form: MatmulForm): MatmulKernel {
  if (choice.kind === "floats") return { kind: "tile", variant: { form, side: choice.side, depth: choice.depth } };
  const halves = matrixForm(form);
  if (halves === null) return tileKernelOf(NARROW, form);
  return { kind: "matrix", variant: { form: halves, tile: choice.tile, split: choice.split } };
}

/** Whether the device can bind the halves of as many rows, which floats need none of. */
export function bindsRows(choice: TileChoice, { rows, inputs }: MatmulSize, { limits }: GpuCapabilities): boolean {
  return choice.kind === "floats" || halvesBytes(rows, inputs, choice) <= limits.maxStorageBufferBindingSize;
}

function tileCandidates(shape: TileShape, capabilities: GpuCapabilities): KernelCandidate<TileChoice>[] {
  const { limits } = capabilities;
  const form = productForm(shape);
  const fitting = FLOAT_TILES.filter(
    ({ side, depth }) =>
      limits.maxComputeInvocationsPerWorkgroup >= side ** 2 &&
      limits.maxComputeWorkgroupStorageSize >= tileBytes({ form, side, depth }),
  );
  const first = shape.rows === "many" && fitting.includes(WIDE) ? WIDE : NARROW;
  const floats = [first, ...fitting.filter((choice) => choice !== first)].map((choice) => ({
    name: `${choice.side}×${choice.depth}`,
    choice,
    rounds: false,
  }));
  return [...floats, ...matrixCandidates(shape, capabilities)];
}

/** None of them is the first: no GPU has shown yet that it is faster. */
function matrixCandidates(shape: TileShape, capabilities: GpuCapabilities): KernelCandidate<TileChoice>[] {
  const form = matrixForm(productForm(shape));
  if (form === null) return [];
  return [true, false].flatMap((split) =>
    MATRIX_TILES[shape.rows].flatMap((plan) => {
      const tile = matrixTile(plan, matrixContents({ form, split }), capabilities);
      if (tile === null) return [];
      const name = `matrix ${matrixRows(tile)}×${matrixColumns(tile)} ${split ? "split" : "halves"}`;
      return [{ name, choice: { kind: "matrix", tile, split } as const, rounds: !split }];
    }),
  );
}
