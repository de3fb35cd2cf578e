import { tensorBytes } from "../tensor";
import type { CpuEngine, CpuHolding } from "./cpu-engine";
import { OPERATIONS } from "./operations";
import { widenForCpu, zeros } from "./widen";

/** Halves are held as f32: plain JavaScript has no half-precision arithmetic. */
export const WIDENED: CpuHolding = {
  typeOf: ({ dtype }) => (dtype === "f16" || dtype === "bf16" ? "f32" : dtype),
  bytesOf: tensorBytes,
};

/** Plain JavaScript over memory of its own: what every other backend and engine is tested against. */
export function referenceEngine(): CpuEngine {
  return {
    holding: WIDENED,
    operations: OPERATIONS,
    allocate: (dtype, shape, label) => ({ data: zeros(dtype, label, shape), release: () => undefined }),
    hold: (source) => ({ data: widenForCpu(source), release: () => undefined }),
    [Symbol.dispose]: () => undefined,
  };
}
