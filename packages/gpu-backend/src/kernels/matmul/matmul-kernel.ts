import { isQuantised } from "@winnow/core-tensor";

import type { GpuLimits } from "../../device/limits";
import { flatGrid, type Grid } from "../../dispatch/grid";
import { defineKernel, kernelVariants, type Kernel } from "../../dispatch/kernel";
import { dotStorage, matmulDotWgsl, type MatmulDotVariant, type QuantisedForm } from "./matmul-dot.wgsl";
import { matmulFewWgsl, type MatmulFewVariant } from "./matmul-few.wgsl";
import { MATMUL_PARAMS, matmulStorage, partsOf, type MatmulForm } from "./matmul-form.wgsl";
import { matmulMatrixWgsl, matrixStorage, type MatmulMatrixVariant, type MatrixForm } from "./matmul-matrix.wgsl";
import { matmulTileWgsl, tileSide, type MatmulTileVariant } from "./matmul-tile.wgsl";
import { matrixColumns, matrixRows } from "./matrix-tile";

/** Which kernel a product runs in. `dot` takes rows that were rounded, `matrix` rows of halves, the others rows as they are. */
export type MatmulKernel =
  | { readonly kind: "few"; readonly variant: MatmulFewVariant }
  | { readonly kind: "dot"; readonly variant: MatmulDotVariant }
  | { readonly kind: "tile"; readonly variant: MatmulTileVariant }
  | { readonly kind: "matrix"; readonly variant: MatmulMatrixVariant };

export interface MatmulSize {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
}

const fewKernel = kernelVariants((variant: MatmulFewVariant) =>
  defineKernel({
    label: "matmul.few",
    params: MATMUL_PARAMS,
    storage: matmulStorage(variant.form, variant.norm),
    enable: variant.subgroups ? ["subgroups"] : [],
    code: matmulFewWgsl(variant),
  }),
);

const dotKernel = kernelVariants((variant: MatmulDotVariant) =>
  defineKernel({
    label: "matmul.dot",
    params: MATMUL_PARAMS,
    storage: dotStorage(variant.form),
    enable: variant.subgroups ? ["subgroups"] : [],
    code: matmulDotWgsl(variant),
  }),
);

const tileKernel = kernelVariants((variant: MatmulTileVariant) =>
  defineKernel({
    label: "matmul.tile",
    params: MATMUL_PARAMS,
    storage: matmulStorage(variant.form, null),
    code: matmulTileWgsl(variant),
  }),
);

const matrixKernel = kernelVariants((variant: MatmulMatrixVariant) =>
  defineKernel({
    label: "matmul.matrix",
    params: MATMUL_PARAMS,
    storage: matrixStorage(variant.form),
    enable: ["f16", "subgroups", "chromium_experimental_subgroup_matrix"],
    code: matmulMatrixWgsl(variant),
  }),
);

export function kernelOf(chosen: MatmulKernel): Kernel {
  switch (chosen.kind) {
    case "few":
      return fewKernel(chosen.variant);
    case "dot":
      return dotKernel(chosen.variant);
    case "tile":
      return tileKernel(chosen.variant);
    case "matrix":
      return matrixKernel(chosen.variant);
  }
}

/** Workgroups for so many outputs of a piece of the weight. */
export function gridOf(chosen: MatmulKernel, rows: number, outputs: number, limits: GpuLimits): Grid {
  if (chosen.kind === "few" || chosen.kind === "dot") {
    return flatGrid(Math.ceil(outputs / chosen.variant.outputs), limits);
  }
  const { height, width } =
    chosen.kind === "tile"
      ? { height: tileSide(chosen.variant), width: tileSide(chosen.variant) }
      : { height: matrixRows(chosen.variant.tile), width: matrixColumns(chosen.variant.tile) };
  // Row tiles side by side: they read the same weights.
  return [Math.ceil(rows / height), Math.ceil(outputs / (width / partsOf(chosen.variant.form).length)), 1];
}

/** The form with its quantised weight; null where the weight is of floats. */
export function quantisedForm(form: MatmulForm): QuantisedForm | null {
  return isQuantised(form.weight) ? { ...form, weight: form.weight } : null;
}

/** The form whose elements halves can hold, with rows that divide into vectors of four; null where it has others. */
export function matrixForm(form: MatmulForm): MatrixForm | null {
  const { weight, aligned } = form;
  return aligned && (weight === "f16" || isQuantised(weight)) ? { ...form, weight, aligned } : null;
}
