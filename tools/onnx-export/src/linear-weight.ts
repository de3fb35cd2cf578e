import { QUANTISED_TYPES, WinnowError, f16ToNumber, quantisedRow, widenBf16, widenF16 } from "@winnow/core-tensor";
import type { TensorSource, WeightTensor } from "@winnow/runtime";

/** Elements of q8_0 that share a scale. */
export const BLOCK = 32;
/** What ONNX Runtime takes from unsigned bytes. */
const ZERO = 128;

/** A matrix [outputs, inputs] as a graph has it: plain, or as bytes of which each 32 in a row share a scale. */
export type LinearWeight = {
  readonly outputs: number;
  readonly inputs: number;
} & (
  | { readonly kind: "f32"; readonly values: Float32Array }
  | { readonly kind: "q8"; readonly bytes: Uint8Array; readonly scales: Float32Array }
);

/** Matrices that take the same inputs, as one: the rows of one behind those of the other. */
export async function readLinear(source: TensorSource, names: readonly string[]): Promise<LinearWeight> {
  const parts: LinearWeight[] = [];
  for (const name of names) parts.push(linearOf(await source.read(name), source.whereIs(name)));
  return parts.reduce(joined);
}

/** A vector, whatever type it is stored as. */
export async function readVector(source: TensorSource, name: string): Promise<Float32Array> {
  const where = source.whereIs(name);
  return widened(await source.read(name), where);
}

function linearOf(tensor: WeightTensor, where: string): LinearWeight {
  const [outputs = 0, inputs = 0] = tensor.shape;
  if (tensor.dtype !== "q8_0") return { kind: "f32", outputs, inputs, values: widened(tensor, where) };
  const row = quantisedRow("q8_0", inputs);
  const blocks = inputs / BLOCK;
  const bytes = new Uint8Array(outputs * inputs);
  const scales = new Float32Array(outputs * blocks);
  const signed = new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  for (let output = 0; output < outputs; output++) {
    const from = output * row.words * 4;
    // Of a signed byte the unsigned one that is larger by 128.
    for (let i = 0; i < inputs; i++) bytes[output * inputs + i] = (signed[from + i] ?? 0) ^ ZERO;
    for (let block = 0; block < blocks; block++) {
      const at = from + row.scales * 4 + block * 2;
      scales[output * blocks + block] = f16ToNumber((signed[at] ?? 0) | ((signed[at + 1] ?? 0) << 8));
    }
  }
  return { kind: "q8", outputs, inputs, bytes, scales };
}

function joined(a: LinearWeight, b: LinearWeight): LinearWeight {
  const size = { outputs: a.outputs + b.outputs, inputs: a.inputs };
  if (a.kind === "f32" && b.kind === "f32") return { ...size, kind: "f32", values: floats(a.values, b.values) };
  if (a.kind === "q8" && b.kind === "q8") {
    const bytes = new Uint8Array(a.bytes.length + b.bytes.length);
    bytes.set(a.bytes);
    bytes.set(b.bytes, a.bytes.length);
    return { ...size, kind: "q8", bytes, scales: floats(a.scales, b.scales) };
  }
  throw new WinnowError("dtype", `matrices of one product are ${a.kind} and ${b.kind}; convert the model to one type`);
}

function floats(a: Float32Array, b: Float32Array): Float32Array {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function widened(tensor: WeightTensor, where: string): Float32Array {
  if (tensor.dtype === "f32") return tensor.data;
  const out = new Float32Array(tensor.data.length);
  if (tensor.dtype === "f16") widenF16(tensor.data, out);
  else if (tensor.dtype === "bf16") widenBf16(tensor.data, out);
  else {
    const others = QUANTISED_TYPES.filter((type) => type !== "q8_0").join(", ");
    throw new WinnowError(
      "dtype",
      `${where} is ${tensor.dtype}; the export takes f32, f16, bf16 and q8_0 but not ${others}; convert the model to one of them`,
    );
  }
  return out;
}
