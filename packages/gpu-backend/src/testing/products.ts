import { f16ToNumber, isQuantised, numberToF16, rows, tensor, type DeviceTensor } from "@winnow/core-tensor";

import { at, Fixture } from "../../../core-tensor/src/testing/fixture";
import { naiveNorm, naiveProduct, silu, unflatten } from "../../../core-tensor/src/testing/naive";
import { naiveRows, randomRows } from "../../../core-tensor/src/testing/naive-quantised";
import type { ProductShape } from "../kernels/matmul/product-shape";
import type { KernelFamily } from "../tune/kernel-family";
import { createWebGpuBackend, type WebGpuBackend } from "../webgpu-backend";
import { randoms } from "./on-gpu";

const EPSILON = 1e-5;

/** Operands of a product, as they are on the device and as numbers. */
export interface Operands {
  readonly count: number;
  readonly x: Float32Array;
  readonly gain: Float32Array | null;
  /** Of a quantised weight the words, else the elements. */
  readonly stored: Uint32Array | Float32Array;
  readonly weight: number[][];
  /** One for each row of the weight. */
  readonly bias: Float32Array | null;
  readonly residual: Float32Array | null;
  /** Whether the residual lies where the output goes. */
  readonly inPlace: boolean;
}

export interface OperandOptions {
  readonly normed?: boolean;
  readonly biased?: boolean;
  readonly residual?: "none" | "other" | "out";
}

export function operandsOf(
  shape: ProductShape,
  count: number,
  { normed = false, biased = false, residual = "none" }: OperandOptions = {},
): Operands {
  const weightRows = shape.outputs * (shape.gated ? 2 : 1);
  const halves = (values: Float32Array): Float32Array => values.map((value) => f16ToNumber(numberToF16(value)));
  const floats = randoms(3, weightRows * shape.inputs);
  const stored = isQuantised(shape.weight)
    ? randomRows(shape.weight, weightRows, shape.inputs, 3)
    : shape.weight === "f16"
      ? halves(floats)
      : floats;
  const values =
    isQuantised(shape.weight) && stored instanceof Uint32Array ? naiveRows(shape.weight, stored, shape.inputs) : stored;
  return {
    count,
    x: randoms(1, count * shape.inputs),
    gain: normed ? randoms(2, shape.inputs) : null,
    stored,
    weight: unflatten(values, shape.inputs),
    bias: biased ? randoms(4, weightRows) : null,
    residual: residual === "none" ? null : randoms(5, count * shape.outputs),
    inPlace: residual === "out",
  };
}

/** What becomes of operands before they are multiplied, and so how far a product may be from that in float64. */
export type Rounding = "floats" | "bytes" | "split" | "halves";

/**
 * The share of a term that is lost: what x and a weight that is no half are off by. WGSL leaves open how they are rounded, so
 * that a half may be off by a whole step, 2^-10. Of two halves the first leaves up to half a step, 2^-11, of which the second has
 * all but 2^-10; and what the first ones of both leave, 2^-22, is not multiplied.
 */
function lostOf(rounding: Rounding, { weight }: ProductShape): number {
  if (rounding === "halves") return (weight === "f16" ? 1 : 2) * 2 ** -10;
  if (rounding === "split") return weight === "f16" ? 2 ** -21 : 2 * 2 ** -21 + 2 ** -22;
  return 0;
}

/**
 * The product in float64, and how far another may be from it: f32's rounding of each term and sum; what {@link lostOf} tells;
 * of rows in halves, what is below their least number, 2^-24, where the row's greatest is 2^14; and where x is rounded to
 * eight bits half a step of its block, max|x| / 127 / 2, for each element.
 */
export function expectedOf(
  { x, gain, weight, count, bias, residual }: Operands,
  shape: ProductShape,
  rounding: Rounding,
): { value: number; error: number }[] {
  const { inputs, outputs, gated } = shape;
  const sources = unflatten(x, inputs).map((row) => (gain === null ? row : naiveNorm(row, Array.from(gain), EPSILON)));
  const magnitudes = sources.map((row) => row.map(Math.abs));
  const sizes = weight.map((row) => row.map(Math.abs));
  const steps = magnitudes.map((row) => {
    if (rounding === "floats") return row.map(() => 0);
    if (rounding !== "bytes") return row.map(() => Math.max(...row) * 2 ** -38);
    return row.map((_, i) => Math.max(...row.slice(i - (i % 32), i - (i % 32) + 32)) / 254);
  });
  const values = naiveProduct(sources, weight, null);
  const terms = naiveProduct(magnitudes, sizes, null);
  const roundings = naiveProduct(steps, sizes, null);
  // Beside shares of a product's own size, which for rows of any size are all that halves may lose.
  const slack = rounding === "floats" || rounding === "bytes" ? 1e-6 : 0;
  const lost = lostOf(rounding, shape) + (inputs + 16) * 2 ** -23;
  const found = (row: number, output: number): { value: number; error: number } => {
    const offset = bias === null ? 0 : at(bias, output);
    const error = at(at(roundings, row), output) + lost * at(at(terms, row), output) + 2 ** -23 * Math.abs(offset);
    return { value: at(at(values, row), output) + offset, error: error + slack };
  };
  return Array.from({ length: count * outputs }, (_, i) => {
    const [row, output] = [Math.floor(i / outputs), i % outputs];
    const added = residual === null ? 0 : at(residual, i);
    const gate = found(row, output);
    if (!gated) return { value: gate.value + added, error: gate.error + 2 ** -23 * Math.abs(added) };
    const up = found(row, output + outputs);
    // silu has a slope of at most 1.1.
    const gateError = 1.1 * gate.error;
    const passed = silu(gate.value);
    const error = gateError * Math.abs(up.value) + Math.abs(passed) * up.error + gateError * up.error;
    return { value: passed * up.value + added, error: error + 1e-5 * Math.abs(passed * up.value) };
  });
}

/** The product by a candidate, on the device of a backend. */
export async function productBy<Shape extends ProductShape, Choice>(
  { gpu }: WebGpuBackend,
  family: KernelFamily<Shape, Choice>,
  shape: Shape,
  variant: string,
  { count, x, gain, stored, bias, residual, inPlace }: Operands,
): Promise<number[]> {
  const source = family.sourceOf(shape, gpu.capabilities);
  const kernels = new Map([[family.keyOf(shape), { variant, source }]]);
  const fixture = new Fixture(createWebGpuBackend(gpu, { kernels }));
  const { inputs, outputs, gated } = shape;
  using weight = weightOf(fixture, shape, stored);
  const out = fixture.f32([count, outputs], inPlace && residual !== null ? residual : undefined);
  fixture.backend.matmul({
    x: rows(fixture.f32([count, inputs], x)),
    ...(gain === null ? {} : { norm: { weight: fixture.f32([inputs], gain), epsilon: EPSILON } }),
    weight,
    ...(gated ? { activation: "silu-gate" } : {}),
    ...(bias === null ? {} : { bias: fixture.f32([bias.length], bias) }),
    ...(residual === null ? {} : { residual: rows(inPlace ? out : fixture.f32([count, outputs], residual)) }),
    out: rows(out),
  });
  const found = await fixture.read(out);
  fixture.release();
  return found;
}

/** How far a product is off, as a share of how far it may be. */
export function worstOf(found: readonly number[], expected: readonly { value: number; error: number }[]): number {
  return Math.max(...expected.map(({ value, error }, i) => Math.abs(at(found, i) - value) / error));
}

function weightOf(
  { backend }: Fixture,
  { weight, inputs, outputs, gated }: ProductShape,
  stored: Operands["stored"],
): DeviceTensor {
  const extents = [outputs * (gated ? 2 : 1), inputs];
  const options = { label: "weight", category: "weights" } as const;
  if (isQuantised(weight) && stored instanceof Uint32Array) {
    return backend.upload(tensor(weight, extents, stored.slice()), options);
  }
  if (weight === "f16") return backend.upload(tensor("f16", extents, Uint16Array.from(stored, numberToF16)), options);
  return backend.upload(tensor("f32", extents, Float32Array.from(stored)), options);
}

export function isWebGpu(backend: object): backend is WebGpuBackend {
  return "gpu" in backend;
}
