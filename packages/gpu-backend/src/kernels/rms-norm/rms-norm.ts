import { elementCount, WinnowError, type RmsNormSpec } from "@winnow/core-tensor";

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
const PARAMS = paramBlock({ runs: "u32", width: "u32", x_first: "u32", out_first: "u32", epsilon: "f32" });

const rmsNormKernel = kernelVariants((variant: RmsNormVariant) => {
  const type = variant.vector === 4 ? "array<vec4f>" : "array<f32>";
  return defineKernel({
    label: "rmsNorm",
    params: PARAMS,
    storage: {
      ...(variant.inPlace ? {} : { x: { access: "read", type } as const }),
      weight: { access: "read", type: weightReader(variant).type },
      out: { access: "write", type },
    },
    enable: variant.subgroups ? ["subgroups"] : [],
    code: rmsNormWgsl(variant),
  });
});

/** One dispatch, a workgroup for each run of the weight's length. */
export function planRmsNorm({ x, weight, epsilon, out }: RmsNormSpec, capabilities: GpuCapabilities): Plan {
  const source = rowOperand("x", x, ["f32"]);
  const scale = tensorOperand("weight", weight, FLOAT_TYPES);
  const target = rowOperand("out", out, ["f32"]);
  const width = elementCount(weight.shape);
  if (width === 0 || source.width % width !== 0 || target.elements !== source.elements) {
    throw new WinnowError(
      "shape",
      `rows of ${source.width} do not divide into runs of the weight's ${width}, ` +
        `or out has ${target.elements} elements for ${source.elements}`,
    );
  }
  const into = { binding: whole(target.tensor), first: target.first, isSource: source.tensor === target.tensor };
  return [normDispatch(source, scale, epsilon, into, capabilities)];
}

/** Where normed runs go. */
export interface NormTarget {
  readonly binding: Binding;
  /** Elements before the first run. */
  readonly first: number;
  /** Whether it is the source's own tensor, which can be bound only once. */
  readonly isSource: boolean;
}

/** The norm of each of the source's runs that are as long as the weight. */
export function normDispatch(
  source: RowOperand,
  scale: GpuTensor,
  epsilon: number,
  target: NormTarget,
  { limits, subgroups }: GpuCapabilities,
): Dispatch {
  const width = elementCount(scale.shape);
  const vector = width % 4 === 0 ? 4 : 1;
  const kernel = rmsNormKernel({
    vector,
    weight: floatStorage(scale.dtype),
    inPlace: target.isSource,
    workgroupSize: workgroupSizeFor(
      width / vector,
      Math.min(limits.maxComputeInvocationsPerWorkgroup, MAX_WORKGROUP_SIZE),
    ),
    subgroups: subgroups !== null,
  });
  const runs = source.elements / width;
  return {
    kernel,
    params: PARAMS.pack({
      runs,
      width: width / vector,
      x_first: source.first / vector,
      out_first: target.first / vector,
      epsilon,
    }),
    bindings: { x: whole(source.tensor), weight: whole(scale), out: target.binding },
    grid: flatGrid(runs, limits),
  };
}

/** The least power of two that handles a run at once, from 32 on: below, most of a subgroup would idle anyway. */
function workgroupSizeFor(items: number, most: number): number {
  return Math.min(most, Math.max(32, 2 ** Math.ceil(Math.log2(items))));
}
