import type { DType } from "../dtype";
import { widenBf16, widenF16 } from "../half";
import type { CpuArray } from "./cpu-memory";

/** Elements of one tensor, of several that are downloaded together. */
export interface PartElements {
  readonly dtype: DType;
  readonly count: number;
}

/** Downloaded elements one behind the other, as bits: halves are floats by then. */
export function packParts(parts: readonly { readonly dtype: DType; readonly data: CpuArray }[]): Uint32Array {
  const packed = new Uint32Array(parts.reduce((sum, { data }) => sum + data.length, 0));
  let at = 0;
  for (const { dtype, data } of parts) {
    if (data instanceof Uint16Array) {
      const wide = new Float32Array(packed.buffer, 4 * at, data.length);
      if (dtype === "bf16") widenBf16(data, wide);
      else widenF16(data, wide);
    } else packed.set(new Uint32Array(data.buffer, data.byteOffset, data.length), at);
    at += data.length;
  }
  return packed;
}

/** What was packed: integers as u32, all else as floats. */
export function unpackParts(packed: Uint32Array, parts: readonly PartElements[]): (Float32Array | Uint32Array)[] {
  let at = packed.byteOffset;
  return parts.map(({ dtype, count }) => {
    const isWhole = dtype === "u32" || dtype === "i32";
    const data = isWhole ? new Uint32Array(packed.buffer, at, count) : new Float32Array(packed.buffer, at, count);
    at += 4 * count;
    return data;
  });
}
