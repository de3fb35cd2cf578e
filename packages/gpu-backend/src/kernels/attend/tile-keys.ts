import type { GpuLimits } from "../../device/limits";

/** Keys that fit in a workgroup's memory with their values, up to 32. */
export function tileKeys(headDim: number, { maxComputeWorkgroupStorageSize }: GpuLimits): number {
  return Math.max(1, Math.min(32, Math.floor((maxComputeWorkgroupStorageSize - 256) / (2 * headDim * 4))));
}
