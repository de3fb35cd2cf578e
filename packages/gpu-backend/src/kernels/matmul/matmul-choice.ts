import type { GpuLimits } from "../../device/limits";
import { partsOf, type MatmulForm } from "./matmul-form.wgsl";
import type { MatmulFewVariant } from "./matmul-few.wgsl";
import { tileBytes, type MatmulTileVariant } from "./matmul-tile.wgsl";

/** Rows for which reading each weight once counts for more than the arithmetic. */
const FEW_ROWS = 8;
/** Vectors that a thread takes of a row before the row gets more threads: adding up the threads' sums takes time too. */
const UNITS_PER_THREAD = 8;
/** Outputs from which there are enough workgroups for every core even where each takes four of them. */
const MANY_OUTPUTS = 4096;

export type MatmulKernel =
  | { readonly kind: "few"; readonly variant: MatmulFewVariant }
  | { readonly kind: "tile"; readonly variant: MatmulTileVariant };

/** Which kernel a product runs in, by its size alone. */
export function matmulKernelOf(
  form: MatmulForm,
  rows: number,
  inputs: number,
  outputs: number,
  limits: GpuLimits,
): MatmulKernel {
  if (rows <= FEW_ROWS) return { kind: "few", variant: fewVariant(form, rows, inputs, outputs, limits) };
  const large: MatmulTileVariant = { form, side: 16 };
  const fits =
    limits.maxComputeInvocationsPerWorkgroup >= large.side ** 2 &&
    limits.maxComputeWorkgroupStorageSize >= tileBytes(large);
  return { kind: "tile", variant: rows > 32 && fits ? large : { form, side: 8 } };
}

function fewVariant(
  form: MatmulForm,
  rows: number,
  inputs: number,
  outputs: number,
  limits: GpuLimits,
): MatmulFewVariant {
  const room = 2 ** Math.ceil(Math.log2(rows));
  const parts = partsOf(form).length;
  const ofGroup = (outputs >= MANY_OUTPUTS ? 4 : 2) / parts;
  const sums = room * ofGroup * parts;
  const most = Math.min(
    256,
    limits.maxComputeInvocationsPerWorkgroup,
    limits.maxComputeWorkgroupStorageSize / (sums * 4),
  );
  const wanted = Math.max(32, inputs / 4 / UNITS_PER_THREAD);
  return { form, rows: room, outputs: ofGroup, threads: 2 ** Math.floor(Math.log2(Math.min(most, wanted))) };
}
