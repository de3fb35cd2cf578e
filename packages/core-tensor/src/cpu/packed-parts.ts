import type { DType } from "../dtype";
import type { CpuArray } from "./cpu-memory";
import { downloadable } from "./elements";

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
    const wide = data instanceof Uint16Array ? downloadable(dtype, data) : data;
    packed.set(new Uint32Array(wide.buffer, wide.byteOffset, wide.length), at);
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
