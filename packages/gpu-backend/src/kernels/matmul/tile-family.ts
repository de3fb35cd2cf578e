import type { GpuCapabilities } from "../../device/capabilities";
import { KernelFamily, type KernelCandidate } from "../../tune/kernel-family";
import { kernelOf, type MatmulKernel } from "./matmul-kernel";
import { planProduct } from "./matmul-plan";
import { tileBytes, type MatmulTileVariant } from "./matmul-tile.wgsl";
import { productForm, productKey, productSpecs, type ProductShape } from "./product-shape";

/** Rows up to which half as wide a tile leaves less of it empty. */
const MIDDLING_ROWS = 32;
/** Rows of a long prompt to time, on a GPU and in software. */
const MANY_ROWS = { device: 256, software: 64 };

export interface TileShape extends ProductShape {
  readonly rows: "middling" | "many";
}

/** Which tile many rows are multiplied in. Each output is summed up in one order, so that all give the same bits. */
export type TileChoice = Pick<MatmulTileVariant, "side" | "depth">;

/** Every device has the memory and the threads for this one. */
const NARROW: TileChoice = { side: 8, depth: 4 };
const WIDE: TileChoice = { side: 16, depth: 4 };
const CHOICES: readonly TileChoice[] = [WIDE, NARROW, { side: 16, depth: 8 }, { side: 8, depth: 8 }];

export function rowsClass(rows: number): TileShape["rows"] {
  return rows > MIDDLING_ROWS ? "many" : "middling";
}

/** Products of more than `FEW_ROWS` rows. */
export const TILE_FAMILY = new KernelFamily<TileShape, TileChoice>({
  name: "matmul.tile",
  keyOf: (shape) => `${productKey(shape)} ${shape.rows}`,
  candidates: tileCandidates,
  wgslOf: (shape, choice) => kernelOf(tile(shape, choice)).wgsl,
  siblings: (shape) => [
    { ...shape, rows: "middling" },
    { ...shape, rows: "many" },
  ],
  workload: (shape, bench) => {
    const many = bench.software ? MANY_ROWS.software : MANY_ROWS.device;
    const specOf = productSpecs(shape, shape.rows === "many" ? many : MIDDLING_ROWS, false, bench);
    return (choice, repetition) => planProduct(specOf(repetition), bench.capabilities, () => tile(shape, choice));
  },
});

function tile(shape: TileShape, choice: TileChoice): MatmulKernel {
  return { kind: "tile", variant: { form: productForm(shape), ...choice } };
}

function tileCandidates(shape: TileShape, { limits }: GpuCapabilities): KernelCandidate<TileChoice>[] {
  const form = productForm(shape);
  const fitting = CHOICES.filter(
    (choice) =>
      limits.maxComputeInvocationsPerWorkgroup >= choice.side ** 2 &&
      limits.maxComputeWorkgroupStorageSize >= tileBytes({ form, ...choice }),
  );
  const first = shape.rows === "many" && fitting.includes(WIDE) ? WIDE : NARROW;
  return [first, ...fitting.filter((choice) => choice !== first)].map((choice) => ({
    name: `${choice.side}×${choice.depth}`,
    choice,
    rounds: false,
  }));
}
