import { FEW_FAMILY } from "./matmul/few-family";
import { TILE_FAMILY } from "./matmul/tile-family";
import type { KernelChoices } from "../tune/kernel-family";
import { tasksOf, type TuningTask } from "../tune/tuning-task";

/** What there is to measure for a backend: the shapes that it was used with, of every family. */
export function tuningTasks(kernels: KernelChoices): readonly TuningTask[] {
  return [...tasksOf(FEW_FAMILY, kernels), ...tasksOf(TILE_FAMILY, kernels)];
}
