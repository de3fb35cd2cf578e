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
  return new Uint8Array(Uint16Array.from(elements, dtype === "f16" ? numberToF16 : numberToBf16).buffer);
}
