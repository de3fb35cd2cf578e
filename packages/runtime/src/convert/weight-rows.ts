import { elementCount, isQuantised, quantisedRow, toFloat32, type Tensor } from "@winnow/core-tensor";

import { weightOver } from "../files/allocate-weight";
import type { WeightTensor } from "../files/tensor-source";

/** Elements that are widened at a time. */
const CHUNK_ELEMENTS = 2 ** 22;

/**
 * A weight's rows as f32, some at a time: of a vector, all.
 *
 * @param together so many rows are never apart.
 */
export function* rowsOf(weight: WeightTensor, together = 1): Generator<Float32Array> {
  const width = weight.shape.at(-1) ?? 1;
  const rows = elementCount(weight.shape) / width;
  const rowBytes = isQuantised(weight.dtype)
    ? quantisedRow(weight.dtype, width).words * 4
    : weight.data.byteLength / rows;
  const { buffer, byteOffset, byteLength } = weight.data;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  const atATime = together * Math.max(1, Math.floor(CHUNK_ELEMENTS / width / together));
  for (let first = 0; first < rows; first += atATime) {
    const count = Math.min(atATime, rows - first);
    const part: Tensor = weightOver(bytes.subarray(first * rowBytes, (first + count) * rowBytes), {
      dtype: weight.dtype,
      shape: [count, width],
    });
    yield toFloat32(part);
  }
}

/**
 * Rows of q or k from the order that rotates halves to the one that turns neighbours: of a head's rows the first of the first
 * half, the first of the second half, the second of the first half, … (llama.cpp's convert_hf_to_gguf.py, `permute`).
 *
 * @param rows whole heads.
 */
export function interleavePairs(rows: Float32Array, headDim: number, width: number): Float32Array {
  const result = new Float32Array(rows.length);
  const half = headDim / 2;
  for (let row = 0; row < rows.length / width; row++) {
    const within = row % headDim;
    const from = row - within + (within % 2) * half + (within >> 1);
    result.set(rows.subarray(from * width, (from + 1) * width), row * width);
  }
  return result;
}
