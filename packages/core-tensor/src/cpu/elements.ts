import type { DType } from "../dtype";
import { WinnowError } from "../errors";
import { numberToBf16, numberToF16, widenBf16, widenF16 } from "../half";
import type { CpuArray } from "./cpu-memory";

/** Elements as a download gives them, in memory of their own: halves as f32, integers as u32. */
export function downloadable(dtype: DType, part: CpuArray): Float32Array | Uint32Array {
  if (part instanceof Uint16Array) {
    const wide = new Float32Array(part.length);
    if (dtype === "bf16") widenBf16(part, wide);
    else widenF16(part, wide);
    return wide;
  }
  // Not `slice`, which would give memory that is shared where the engine's is.
  if (part instanceof Float32Array) return new Float32Array(part);
  return new Uint32Array(part);
}

/**
 * Elements to overwrite some of a tensor with, as its memory holds them.
 *
 * @throws WinnowError `range` when they do not fit, `dtype` when they are not of the tensor's kind.
 */
export function overwrite(
  { dtype, label, data: memory }: { readonly dtype: DType; readonly label: string; readonly data: CpuArray },
  data: Float32Array | Uint32Array | Int32Array,
  offset: number,
): void {
  if (offset < 0 || offset + data.length > memory.length) {
    throw new WinnowError(
      "range",
      `write: ${data.length} elements at ${offset} do not fit "${label}", ${memory.length} elements of ${dtype}`,
    );
  }
  if (memory instanceof Uint16Array && data instanceof Float32Array) {
    memory.set(Uint16Array.from(data, dtype === "bf16" ? numberToBf16 : numberToF16), offset);
    return;
  }
  if (memory.constructor !== data.constructor) {
    throw new WinnowError(
      "dtype",
      `write: "${label}" holds ${dtype}, expected a ${memory.constructor.name}, found a ${data.constructor.name}`,
    );
  }
  memory.set(data, offset);
}
