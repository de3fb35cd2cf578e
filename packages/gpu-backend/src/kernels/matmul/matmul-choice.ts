import type { GpuCapabilities } from "../../device/capabilities";
import { partsOf, type MatmulForm, type NormForm } from "./matmul-form.wgsl";
import { fewBytes, type MatmulFewVariant } from "./matmul-few.wgsl";
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

export interface MatmulSize {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** Which kernel a product runs in. That of many rows has no norm: it would norm each row once for every tile of outputs. */
export function matmulKernelOf(
  form: MatmulForm,
  norm: NormForm,
  size: MatmulSize,
  capabilities: GpuCapabilities,
): MatmulKernel {
  const { rows } = size;
  const { limits } = capabilities;
  if (rows <= FEW_ROWS) return { kind: "few", variant: fewVariant(form, norm, size, capabilities) };
  const large: MatmulTileVariant = { form, side: 16 };
  const fits =
    limits.maxComputeInvocationsPerWorkgroup >= large.side ** 2 &&
    limits.maxComputeWorkgroupStorageSize >= tileBytes(large);
  return { kind: "tile", variant: rows > 32 && fits ? large : { form, side: 8 } };
}

/** The threads are those of one row and of eight, so that a row's sums do not depend on the others. */
function fewVariant(
  form: MatmulForm,
  norm: NormForm,
  { rows, inputs, outputs }: MatmulSize,
  { limits, subgroups }: GpuCapabilities,
): MatmulFewVariant {
  const ofGroup = (outputs >= MANY_OUTPUTS ? 4 : 2) / partsOf(form).length;
  const wanted = Math.max(32, inputs / 4 / UNITS_PER_THREAD);
  const most = Math.min(256, limits.maxComputeInvocationsPerWorkgroup, wanted);
  const shared = { form, norm, subgroups: subgroups !== null, outputs: ofGroup };
  let threads = 2 ** Math.floor(Math.log2(most));
  while (fewBytes({ ...shared, rows: FEW_ROWS, threads }) > limits.maxComputeWorkgroupStorageSize) threads /= 2;
  return { ...shared, rows: 2 ** Math.ceil(Math.log2(rows)), threads };
}
