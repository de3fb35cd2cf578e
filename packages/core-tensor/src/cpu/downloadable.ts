import type { DType } from "../dtype";
import { widenBf16, widenF16 } from "../half";
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
