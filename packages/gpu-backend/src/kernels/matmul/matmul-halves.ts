import type { GpuTensor } from "../../buffers/gpu-tensor";
import type { GpuCapabilities } from "../../device/capabilities";
import { scratch, whole, type Binding } from "../../dispatch/binding";
import type { Dispatch } from "../../dispatch/dispatch";
import { flatGrid } from "../../dispatch/grid";
import { defineKernel, kernelVariants, type Kernel } from "../../dispatch/kernel";
import type { RowOperand } from "../../dispatch/operands";
import { floatStorage, type FloatStorage } from "../../wgsl/elements";
import { HALVES_PARAMS, halvesStorage, matmulHalvesWgsl, type MatmulHalvesVariant } from "./matmul-halves.wgsl";
import type { MatmulMatrixVariant } from "./matmul-matrix.wgsl";
import { matrixRows } from "./matrix-tile";

const MAX_THREADS = 256;

const halvesKernel = kernelVariants((variant: MatmulHalvesVariant) =>
  defineKernel({
    label: "matmul.halves",
    params: HALVES_PARAMS,
    storage: halvesStorage(variant),
    enable: variant.subgroups ? ["f16", "subgroups"] : ["f16"],
    code: matmulHalvesWgsl(variant),
  }),
);

/** What a product by matrices needs of x. */
export type HalvesOf = Pick<MatmulMatrixVariant, "tile" | "split">;

/** The kernel that makes halves of rows of so many inputs. */
export function halvesKernelOf(
  inputs: number,
  norm: FloatStorage | null,
  { tile, split }: HalvesOf,
  { limits, subgroups }: GpuCapabilities,
): Kernel {
  const most = Math.min(MAX_THREADS, limits.maxComputeInvocationsPerWorkgroup);
  const threads = Math.min(most, Math.max(32, 2 ** Math.ceil(Math.log2(inputs / 4))));
  return halvesKernel({ norm, split, depth: tile.depth, subgroups: subgroups !== null, threads });
}

/** Bytes of the halves of some rows: whole tiles, as matrices are loaded whole. */
export function halvesBytes(rows: number, inputs: number, { tile, split }: HalvesOf): number {
  const [height, { depth }] = [matrixRows(tile), tile];
  return Math.ceil(rows / height) * height * Math.ceil(inputs / depth) * depth * (split ? 2 : 1) * 2;
}

/**
 * The dispatch that makes halves of rows of x for a product by matrices, and where it leaves them. Rows that fill up the last
 * tile are left as they are: a row of a matrix goes into the same row of the result and no other.
 */
export function halveRows(
  x: RowOperand,
  norm: { readonly gain: GpuTensor; readonly epsilon: number } | null,
  of: HalvesOf,
  capabilities: GpuCapabilities,
): { readonly dispatch: Dispatch; readonly rows: Binding; readonly scales: Binding } {
  const halves = scratch("matmul.halves", halvesBytes(x.count, x.width, of));
  const scales = scratch("matmul.scales", x.count * 4);
  const dispatch = {
    kernel: halvesKernelOf(x.width, norm === null ? null : floatStorage(norm.gain.dtype), of, capabilities),
    params: HALVES_PARAMS.pack({
      rows: x.count,
      units: x.width / 4,
      first_x: x.first / 4,
      epsilon: norm?.epsilon ?? 0,
    }),
    bindings: { x: whole(x.tensor), ...(norm === null ? {} : { gain: whole(norm.gain) }), halves, scales },
    grid: flatGrid(x.count, capabilities.limits),
  };
  return { dispatch, rows: halves, scales };
}
