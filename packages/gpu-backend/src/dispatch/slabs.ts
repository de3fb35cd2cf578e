import type { DeviceTensor, KvType } from "@winnow/core-tensor";

import type { GpuTensor } from "../buffers/gpu-tensor";
import { SLAB_TYPES, kvTypeOf } from "../wgsl/kv";
import { tensorOperand } from "./operands";

/** One slab of a pool of pages. */
export interface Slab {
  /** Its number in the pool: pages slab·pagesPerSlab .. are there. */
  readonly number: number;
  readonly tensor: GpuTensor;
}

/** The slabs that exist. */
export function slabsOf(name: string, slabs: readonly (DeviceTensor | null)[]): Slab[] {
  return slabs.flatMap((handle, number) =>
    handle === null ? [] : [{ number, tensor: tensorOperand(name, handle, SLAB_TYPES) }],
  );
}

/** How the slabs store keys and values; all of a cache do it alike. */
export function storageOf([first]: readonly Slab[], headDim: number): KvType {
  return first === undefined ? "f32" : kvTypeOf(first.tensor, headDim);
}
