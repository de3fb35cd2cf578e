import { isQuantised, numberToBf16, numberToF16 } from "@winnow/core-tensor";

import type { WeightDType } from "../files/tensor-source";
import { BLOCK_FORMATS, quantise } from "./quantise-blocks";

/** Bytes that so many elements take in a file. */
export function storedBytes(dtype: WeightDType, elements: number): number {
  if (!isQuantised(dtype)) return elements * (dtype === "f32" ? 4 : 2);
  return (elements / BLOCK_FORMATS[dtype].elements) * BLOCK_FORMATS[dtype].bytes;
}

/** Elements as a file stores them. */
export function elementBytes(dtype: WeightDType, elements: Float32Array): Uint8Array {
  if (isQuantised(dtype)) return quantise(dtype, elements);
  if (dtype === "f32") return new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
  const halves = new Uint16Array(elements.length);
  const half = dtype === "f16" ? numberToF16 : numberToBf16;
  // A callback for each of billions of elements would take longer than writing them.
  for (let i = 0; i < elements.length; i++) halves[i] = half(elements[i] ?? 0);
  return new Uint8Array(halves.buffer);
}
