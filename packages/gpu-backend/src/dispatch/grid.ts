import { GpuError } from "../device/gpu-error";
import type { GpuLimits } from "../device/limits";

/** Workgroups by dimension. */
export type Grid = readonly [x: number, y: number, z: number];

/**
 * A grid of at least `count` workgroups within the adapter's limit for each dimension, with few too many. The kernel
 * numbers them by `flat_workgroup` and returns where the number is not below the count.
 *
 * @throws GpuError `limit` above what two dimensions hold.
 * @example flatGrid(70_000, limits) // [35000, 2, 1]
 */
export function flatGrid(count: number, { maxComputeWorkgroupsPerDimension: most }: GpuLimits): Grid {
  const height = Math.max(1, Math.ceil(count / most));
  if (height > most) {
    throw new GpuError(
      "limit",
      `${count} workgroups are more than two dimensions of maxComputeWorkgroupsPerDimension = ${most} hold; ` +
        "read the prompt in smaller chunks",
    );
  }
  return [Math.ceil(count / height), height, 1];
}
