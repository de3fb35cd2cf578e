import { expectOutput, normRunsOf, type DeviceTensor, type RmsNormSpec } from "@winnow/core-tensor";

import type { GpuCapabilities } from "../../device/capabilities";
import type { GpuTensor } from "../../buffers/gpu-tensor";
import { whole, type Binding } from "../../dispatch/binding";
import type { Dispatch, Plan } from "../../dispatch/dispatch";
import { flatGrid } from "../../dispatch/grid";
import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { rowOperand, tensorOperand, type RowOperand } from "../../dispatch/operands";
import { paramBlock } from "../../dispatch/params";
import { floatStorage, FLOAT_TYPES } from "../../wgsl/elements";
import { rmsNormWgsl, weightReader, type RmsNormVariant } from "./rms-norm.wgsl";

/** More would leave most invocations of a run without work. */
const MAX_WORKGROUP_SIZE = 256;

/** Widths and places count groups of as many elements as the variant handles at a time. */
const PARAMS = paramBlock({
  runs: "u32",
  per_row: "u32",
  width: "u32",
  stride: "u32",
  step: "u32",
  x_first: "u32",
  out_first: "u32",
  residual_first: "u32",
  epsilon: "f32",
});

const rmsNormKernel = kernelVariants((variant: RmsNormVariant) => {
  const type = variant.vector === 4 ? "array<vec4f>" : "array<f32>";
  return defineKernel({
    label: "rmsNorm",
    params: PARAMS,
    storage: {
      ...(variant.inPlace ? {} : { x: { access: "read", type } as const }),
      weight: { access: "read", type: weightReader(variant).type },
      ...(variant.residual === "other" ? { residual: { access: "read", type } as const } : {}),
      out: { access: "write", type },
    },
    enable: variant.subgroups ? ["subgroups"] : [],
    code: rmsNormWgsl(variant),
  });
});

/** One dispatch, a workgroup for each run of the weight's length. */
export function planRmsNorm({ x, weight, epsilon, residual, out }: RmsNormSpec, capabilities: GpuCapabilities): Plan {
  const source = rowOperand("x", x, ["f32"]);
  const scale = tensorOperand("weight", weight, FLOAT_TYPES);
  const target = rowOperand("out", out, ["f32"]);
  const added = residual === undefined ? null : rowOperand("residual", residual, ["f32"]);
  expectOutput("out", out, x.count, source.width);
  if (residual !== undefined) expectOutput("residual", residual, x.count, source.width);
  const into = { binding: whole(target.tensor), first: target.first, tensor: target.tensor };
  return [normDispatch(source, { weight, scale, epsilon }, into, added, capabilities)];
}

/** A norm's weight as it was given, and as an operand. */
export interface NormWeight {
  readonly weight: DeviceTensor;
  readonly scale: GpuTensor;
  readonly epsilon: number;
}

/** Where normed runs go. */
export interface NormTarget {
  readonly binding: Binding;
  /** Elements before the first row. */
  readonly first: number;
  /** Null for scratch. */
  readonly tensor: GpuTensor | null;
}

/** The norm of each of the source's runs. */
export function normDispatch(
  source: RowOperand,
  { weight, scale, epsilon }: NormWeight,
  target: NormTarget,
  residual: RowOperand | null,
  { limits, subgroups }: GpuCapabilities,
): Dispatch {
  const { width, perRow, step } = normRunsOf(weight, source.width);
  const vector = width % 4 === 0 && source.width % 4 === 0 ? 4 : 1;
  const added = residual === null ? "none" : residual.tensor === target.tensor ? "out" : "other";
  const kernel = rmsNormKernel({
    vector,
    weight: floatStorage(scale.dtype),
    inPlace: target.tensor === source.tensor,
    residual: added,
    workgroupSize: workgroupSizeFor(
      width / vector,
      Math.min(limits.maxComputeInvocationsPerWorkgroup, MAX_WORKGROUP_SIZE),
    ),
    subgroups: subgroups !== null,
  });
  const runs = source.count * perRow;
  return {
    kernel,
    params: PARAMS.pack({
      runs,
      per_row: perRow,
      width: width / vector,
      stride: source.width / vector,
      step: step / vector,
      x_first: source.first / vector,
      out_first: target.first / vector,
      residual_first: (residual?.first ?? 0) / vector,
      epsilon,
    }),
    bindings: {
      x: whole(source.tensor),
      weight: whole(scale),
      ...(added === "other" && residual !== null ? { residual: whole(residual.tensor) } : {}),
      out: target.binding,
    },
    grid: flatGrid(runs, limits),
  };
}

/** The least power of two that handles a run at once, from 32 on: below, most of a subgroup would idle anyway. */
function workgroupSizeFor(items: number, most: number): number {
  return Math.min(most, Math.max(32, 2 ** Math.ceil(Math.log2(items))));
}
