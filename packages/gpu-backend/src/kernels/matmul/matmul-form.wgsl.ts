import type { StorageVariable } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { isQuantised } from "@winnow/core-tensor";

import {
  floatStorage,
  scalarReader,
  vectorReader,
  type FloatReader,
  type FloatStorage,
  type WeightStorage,
} from "../../wgsl/elements";
import { QUANTISED_PARAMS, quantisedReader } from "../../wgsl/quantised";
import { softCapped } from "../../wgsl/soft-cap";

/** What a product is given beside x and the weight; every product kernel is written for one form. */
export interface MatmulForm {
  /** Whether rows of x and of the weight divide into vectors of four. */
  readonly aligned: boolean;
  readonly weight: WeightStorage;
  /** How the first half of the outputs gates the second; null where they do not. */
  readonly gate: "silu" | "gelu" | null;
  readonly capped: boolean;
  readonly bias: FloatStorage | null;
  /** `out`: rows of the output's own tensor, which can be bound only once. */
  readonly residual: "none" | "other" | "out";
}

/** What a kernel does to x before the product: norm its rows by a weight of some type, or nothing. */
export type NormForm = FloatStorage | null;

export const MATMUL_PARAMS = paramBlock({
  rows: "u32",
  inputs: "u32",
  // Vectors of four in a row of x, the last perhaps not full; and entries of the arrays below.
  units: "u32",
  stride: "u32",
  ...QUANTISED_PARAMS,
  // Entries before the first row; outputs are those of the piece of the weight that is bound.
  first_x: "u32",
  first_weight: "u32",
  first_up: "u32",
  outputs: "u32",
  // Width of out, which output the piece's first is, biases before what is gated, and elements before the first row.
  width: "u32",
  first_output: "u32",
  first_up_bias: "u32",
  first_out: "u32",
  first_residual: "u32",
  // Of the norm.
  epsilon: "f32",
  soft_cap: "f32",
});

/** Parts of the weight that one output needs: its row, and with a gate the row that is gated. */
export function partsOf({ gate }: MatmulForm): readonly ["weight"] | readonly ["weight", "up"] {
  return gate !== null ? ["weight", "up"] : ["weight"];
}

/** What the kernels of a form bind. */
export function matmulStorage(form: MatmulForm, norm: NormForm): Readonly<Record<string, StorageVariable>> {
  const weightType = isQuantised(form.weight) ? "array<u32>" : readerOf("weight", form).type;
  return {
    x: { access: "read", type: form.aligned ? "array<vec4f>" : "array<f32>" },
    ...(norm === null ? {} : { gain: { access: "read", type: gainReader(form, norm).type } as const }),
    weight: { access: "read", type: weightType },
    ...(form.gate !== null ? { up: { access: "read", type: weightType } as const } : {}),
    ...(form.bias === null ? {} : { bias: { access: "read", type: scalarReader("bias", form.bias).type } as const }),
    ...(form.residual === "other" ? { residual: { access: "read", type: "array<f32>" } as const } : {}),
    out: { access: "write", type: "array<f32>" },
  };
}

/** How a product kernel reads rows four elements at a time, and {@link finishWgsl}. */
export function matmulFormWgsl(form: MatmulForm): string {
  return [loadWgsl("x", form), weightsWgsl(form), finishWgsl(form)].join("\n");
}

/** `load_weight(row, unit)`, and with a gate `load_up`: four elements of a weight's row. */
export function weightsWgsl(form: MatmulForm): string {
  return partsOf(form)
    .map((name) => loadWgsl(name, form))
    .join("\n");
}

/** `finish`, which makes an output of its sums. */
export function finishWgsl({ gate, capped, bias, residual }: MatmulForm): string {
  const offsets = bias === null ? null : scalarReader("bias", bias);
  return `
${offsets?.declarations ?? ""}

fn finish(row: u32, output: u32, product: f32${gate === null ? "" : ", up_product: f32"}) {
  let column = params.first_output + output;
  let at = row * params.width + column;
  var value = product${offsets === null ? "" : ` + ${offsets.read("column")}`};
  ${
    gate !== null
      ? `let gated = up_product${offsets === null ? "" : ` + ${offsets.read("params.first_up_bias + column")}`};
  value = ${GATES[gate]} * gated;`
      : ""
  }
  ${capped ? `value = ${softCapped(true, "value")};` : ""}
  out[params.first_out + at] = value${residual === "none" ? "" : ` + ${residual === "out" ? "out" : "residual"}[params.first_residual + at]`};
}
`;
}

const GATES = {
  // Beyond that, exp may overflow, and the gate is 0 to any precision.
  silu: "value / (1.0 + exp(min(-value, 80.0)))",
  gelu: `0.5 * value * (1.0 + tanh(clamp(${Math.sqrt(2 / Math.PI)} * (value + 0.044715 * value * value * value), -15.0, 15.0)))`,
} as const;

/** `load_gain(unit)`: four elements of the norm's weight. */
export function gainWgsl(form: MatmulForm, norm: FloatStorage): string {
  const reader = gainReader(form, norm);
  if (form.aligned) {
    return `${reader.declarations}
fn load_gain(unit: u32) -> vec4f { return ${reader.read("unit")}; }`;
  }
  return `${reader.declarations}
fn load_gain(unit: u32) -> vec4f {
  let place = min(unit * 4u + vec4u(0u, 1u, 2u, 3u), vec4u(params.inputs - 1u));
  return vec4f(${["x", "y", "z", "w"].map((lane) => reader.read(`place.${lane}`)).join(", ")});
}`;
}

function gainReader({ aligned }: MatmulForm, norm: FloatStorage): FloatReader {
  return aligned ? vectorReader("gain", norm) : scalarReader("gain", norm);
}

function readerOf(name: "x" | "weight" | "up", { aligned, weight }: MatmulForm): FloatReader {
  const storage = name === "x" ? "f32" : floatStorage(weight);
  return aligned ? vectorReader(name, storage) : scalarReader(name, storage);
}

/** Four elements of a row, 0 behind its end. */
function loadWgsl(name: "x" | "weight" | "up", form: MatmulForm): string {
  if (name !== "x" && isQuantised(form.weight)) {
    return `${quantisedReader(name, form.weight)}
fn load_${name}(row: u32, unit: u32) -> vec4f { return ${name}_at(params.first_${name} + row * params.row_words, unit); }`;
  }
  const reader = readerOf(name, form);
  if (form.aligned) {
    return `${reader.declarations}
fn load_${name}(row: u32, unit: u32) -> vec4f { return ${reader.read(`params.first_${name} + row * params.stride + unit`)}; }`;
  }
  return `${reader.declarations}
fn load_${name}(row: u32, unit: u32) -> vec4f {
  let at = unit * 4u + vec4u(0u, 1u, 2u, 3u);
  let place = params.first_${name} + row * params.stride + min(at, vec4u(params.inputs - 1u));
  let found = vec4f(${["x", "y", "z", "w"].map((lane) => reader.read(`place.${lane}`)).join(", ")});
  return select(vec4f(), found, at < vec4u(params.inputs));
}`;
}
