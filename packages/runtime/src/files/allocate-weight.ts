import { isQuantised, tensor, tensorBytes, WinnowError, type Shape } from "@winnow/core-tensor";

import type { WeightDType, WeightTensor } from "./tensor-source";

/**
 * A tensor of zeros for weights to be read into: the one copy of them that is ever made.
 *
 * @throws WinnowError `memory` where there is no room.
 */
export function allocateWeight(dtype: WeightDType, shape: Shape, what: string): WeightTensor {
  const bytes = tensorBytes(dtype, shape);
  try {
    return weightOver(new Uint8Array(bytes), { dtype, shape });
  } catch (cause) {
    throw new WinnowError("memory", `${what}: no memory for ${bytes} bytes`, { cause });
  }
}

/** Bytes as a weight; they are not copied. */
export function weightOver(
  { buffer, byteOffset, byteLength }: Uint8Array,
  { dtype, shape }: { readonly dtype: WeightDType; readonly shape: Shape },
): WeightTensor {
  if (isQuantised(dtype)) return tensor(dtype, shape, new Uint32Array(buffer, byteOffset, byteLength / 4));
  return dtype === "f32"
    ? tensor(dtype, shape, new Float32Array(buffer, byteOffset, byteLength / 4))
    : tensor(dtype, shape, new Uint16Array(buffer, byteOffset, byteLength / 2));
}

/** A weight's bytes; they are not copied. */
export function bytesOfWeight({ data: { buffer, byteOffset, byteLength } }: WeightTensor): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
