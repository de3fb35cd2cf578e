import type { PlanTarget } from "../../tune/kernel-family";
import { FEW_FAMILY, FEW_ROWS, fewKernelOf } from "./few-family";
import type { MatmulForm, NormForm } from "./matmul-form.wgsl";
import type { MatmulKernel, MatmulSize } from "./matmul-kernel";
import { TILE_FAMILY, bindsRows, rowsClass, tileKernelOf } from "./tile-family";

/** Which kernel a product runs in. That of many rows has no norm in it: it would norm each row once for every tile of outputs. */
export function matmulKernelOf(
  form: MatmulForm,
  norm: NormForm,
  { rows, inputs, outputs }: MatmulSize,
  target: PlanTarget,
): MatmulKernel {
  const shape = { weight: form.weight, inputs, outputs, gated: form.gate !== null };
  if (rows <= FEW_ROWS) {
    const choice = FEW_FAMILY.choiceFor({ ...shape, normed: norm !== null }, target);
    return fewKernelOf(choice, form, norm, rows, target);
  }
  const tiles = { ...shape, rows: rowsClass(rows) };
  const choice = TILE_FAMILY.choiceFor(tiles, target);
  const fits = bindsRows(choice, { rows, inputs, outputs }, target);
  return tileKernelOf(fits ? choice : TILE_FAMILY.firstOf(tiles, target), form);
}
