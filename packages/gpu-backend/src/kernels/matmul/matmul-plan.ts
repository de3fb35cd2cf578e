import { ELEMENT_BYTES, checkMatmul, isQuantised, quantisedRow, type MatmulSpec } from "@winnow/core-tensor";

import type { GpuCapabilities } from "../../device/capabilities";
import type { GpuLimits } from "../../device/limits";
import { scratch, whole, type Binding } from "../../dispatch/binding";
import type { Dispatch, Plan } from "../../dispatch/dispatch";
import { flatGrid } from "../../dispatch/grid";
import { rowOperand, tensorOperand, type RowOperand } from "../../dispatch/operands";
import { pieceOf, rowsOfPiece } from "../../dispatch/piece";
import { FLOAT_TYPES, floatStorage, WEIGHT_TYPES, weightStorage } from "../../wgsl/elements";
import { quantisedParams } from "../../wgsl/quantised";
import { COPY, COPY_PARAMS, COPY_THREADS } from "../copy/copy.wgsl";
import { normDispatch } from "../rms-norm/rms-norm";
import { MATMUL_PARAMS, type MatmulForm, type NormForm } from "./matmul-form.wgsl";
import { halveRows } from "./matmul-halves";
import { gridOf, kernelOf, type MatmulKernel, type MatmulSize } from "./matmul-kernel";
import { roundRows } from "./matmul-round";

/** Which kernel a product of a form runs in. */
export type ChooseKernel = (form: MatmulForm, norm: NormForm, size: MatmulSize) => MatmulKernel;

/**
 * out = softCap(activation(norm(x) · weightᵀ + bias)) + residual, one piece of the weight's outputs after the other.
 *
 * @param choose the kernel: all that can run a product give the same but for the order of sums, and `dot` and `matrix` without
 * `split` for the rounding of x.
 */
export function planProduct(spec: MatmulSpec, capabilities: GpuCapabilities, choose: ChooseKernel): Plan {
  const { limits } = capabilities;
  const x = rowOperand("x", spec.x, ["f32"]);
  const out = rowOperand("out", spec.out, ["f32"]);
  const residual = spec.residual === undefined ? null : rowOperand("residual", spec.residual, ["f32"]);
  const weight = tensorOperand("weight", spec.weight, WEIGHT_TYPES);
  const bias = spec.bias === undefined ? null : tensorOperand("bias", spec.bias, FLOAT_TYPES);
  const gain = spec.norm === undefined ? null : tensorOperand("the norm's weight", spec.norm.weight, FLOAT_TYPES);
  const epsilon = spec.norm?.epsilon ?? 0;
  const gated = spec.activation !== undefined;
  const width = checkMatmul(spec);
  if (x.count === 0 || width === 0) return [];

  const form: MatmulForm = {
    aligned: x.width % 4 === 0,
    weight: weightStorage(weight.dtype),
    gate: spec.activation === undefined ? null : spec.activation === "silu-gate" ? "silu" : "gelu",
    capped: spec.softCap !== undefined,
    bias: bias === null ? null : floatStorage(bias.dtype),
    residual: residual === null ? "none" : residual.tensor === out.tensor ? "out" : "other",
  };
  const entry = form.aligned ? 4 : 1;
  // Bytes of an entry of the weight.
  const weightEntry = isQuantised(weight.dtype) ? 4 : entry * ELEMENT_BYTES[weight.dtype];
  const quantised = quantisedParams(isQuantised(weight.dtype) ? quantisedRow(weight.dtype, x.width) : null);
  const { column = 0 } = spec;
  const plan: Dispatch[] = [];
  const norm = gain === null ? null : floatStorage(gain.dtype);
  const chosen = choose(form, norm, { rows: x.count, inputs: x.width, outputs: width });
  let rows: Binding = whole(x.tensor);
  let scales: Binding | null = null;
  if (chosen.kind === "dot" || chosen.kind === "matrix") {
    const norm = gain === null ? null : { gain, epsilon };
    const prepared =
      chosen.kind === "dot" ? roundRows(x, norm, capabilities) : halveRows(x, norm, chosen.variant, capabilities);
    plan.push(prepared.dispatch);
    ({ rows, scales } = prepared);
  } else if (gain !== null && chosen.kind === "tile") {
    rows = scratch("matmul.x", x.elements * 4);
    const norm = { weight: gain, scale: gain, epsilon };
    plan.push(normDispatch(x, norm, { binding: rows, first: 0, tensor: null }, null, capabilities));
  } else if (x.tensor === out.tensor) {
    rows = scratch("matmul.x", x.elements * 4);
    plan.push(copyOf(x, rows, limits));
  }
  const most = weight.buffer.bytes <= limits.maxStorageBufferBindingSize ? width : rowsOfPiece(weight, limits);
  for (let first = 0; first < width; first += most) {
    const count = Math.min(most, width - first);
    const piece = pieceOf(weight, first, count, limits);
    const up = pieceOf(weight, gated ? width + first : 0, count, limits);
    plan.push({
      kernel: kernelOf(chosen),
      params: MATMUL_PARAMS.pack({
        rows: x.count,
        inputs: x.width,
        units: Math.ceil(x.width / 4),
        stride: x.width / entry,
        first_x: rows.kind === "scratch" ? 0 : x.first / entry,
        ...quantised,
        first_weight: piece.skip / weightEntry,
        first_up: up.skip / weightEntry,
        outputs: count,
        width: out.width,
        first_output: first,
        first_up_bias: width,
        first_out: out.first + column,
        first_residual: (residual?.first ?? 0) + column,
        epsilon,
        soft_cap: spec.softCap ?? 0,
      }),
      bindings: {
        x: rows,
        ...(scales === null ? {} : { scales }),
        ...(gain !== null && chosen.kind === "few" ? { gain: whole(gain) } : {}),
        weight: piece.binding,
        ...(gated ? { up: up.binding } : {}),
        ...(bias === null ? {} : { bias: whole(bias) }),
        ...(form.residual === "other" && residual !== null ? { residual: whole(residual.tensor) } : {}),
        out: whole(out.tensor),
      },
      grid: gridOf(chosen, x.count, count, limits),
    });
  }
  return plan;
}

/** A tensor that is written cannot be read in the same dispatch, even if it is other rows of it. */
function copyOf(x: RowOperand, into: Binding, limits: GpuLimits): Dispatch {
  return {
    kernel: COPY,
    params: COPY_PARAMS.pack({ first: x.first, count: x.elements, to: 0 }),
    bindings: { source: whole(x.tensor), into },
    grid: flatGrid(Math.ceil(x.elements / COPY_THREADS), limits),
  };
}
