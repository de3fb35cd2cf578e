import { isQuantised } from "@winnow/core-tensor";

import type { GpuLimits } from "../../device/limits";
import { flatGrid, type Grid } from "../../dispatch/grid";
import { defineKernel, kernelVariants, type Kernel } from "../../dispatch/kernel";
import { dotStorage, matmulDotWgsl, type MatmulDotVariant, type QuantisedForm } from "./matmul-dot.wgsl";
import { matmulFewWgsl, type MatmulFewVariant } from "./matmul-few.wgsl";
import { MATMUL_PARAMS, matmulStorage, type MatmulForm } from "./matmul-form.wgsl";
import { matmulTileWgsl, tileSide, type MatmulTileVariant } from "./matmul-tile.wgsl";

/** Which kernel a product runs in. `dot` takes rows that were rounded, the others rows as they are. */
export type MatmulKernel =
  | { readonly kind: "few"; readonly variant: MatmulFewVariant }
  | { readonly kind: "dot"; readonly variant: MatmulDotVariant }
  | { readonly kind: "tile"; readonly variant: MatmulTileVariant };

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

export function kernelOf(chosen: MatmulKernel): Kernel {
  switch (chosen.kind) {
    case "few":
      return fewKernel(chosen.variant);
    case "dot":
      return dotKernel(chosen.variant);
    case "tile":
      return tileKernel(chosen.variant);
  }
}

/** Workgroups for so many outputs of a piece of the weight. */
export function gridOf(chosen: MatmulKernel, rows: number, outputs: number, limits: GpuLimits): Grid {
  if (chosen.kind !== "tile") return flatGrid(Math.ceil(outputs / chosen.variant.outputs), limits);
  const tile = tileSide(chosen.variant);
  // Row tiles side by side: they read the same weights.
  return [Math.ceil(rows / tile), Math.ceil(outputs / (chosen.variant.form.gate !== null ? tile / 2 : tile)), 1];
}

/** The form with its quantised weight; null where the weight is of floats. */
export function quantisedForm(form: MatmulForm): QuantisedForm | null {
  return isQuantised(form.weight) ? { ...form, weight: form.weight } : null;
}
