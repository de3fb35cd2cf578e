import type { DeviceTensor } from "@winnow/core-tensor";

import type { GpuTensor } from "../buffers/gpu-tensor";
import { KV_TYPES, kvStorage, type KvStorage } from "../wgsl/kv";
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
    handle === null ? [] : [{ number, tensor: tensorOperand(name, handle, KV_TYPES) }],
  );
}

/** How the slabs store keys and values; all of a cache do it alike. */
export function storageOf([first]: readonly Slab[]): KvStorage {
  return first === undefined ? "f32" : kvStorage(first.tensor);
}
