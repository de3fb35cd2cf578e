import type { AttendSpec } from "@winnow/core-tensor";

import type { GpuTensor } from "../../buffers/gpu-tensor";
import type { Binding } from "../../dispatch/binding";

/** The rows of one group, with what a row and its results are found by. */
export interface GroupRows {
  readonly spec: AttendSpec;
  readonly count: number;
  readonly qkv: GpuTensor;
  /** Row of `qkv` that is the group's first. */
  readonly qkvRow: number;
  /** What the number of the group's first row is in a record. */
  readonly number: number;
  /** f32 [count, queryHeads]: the logarithm of the sum of each row's exponentials. */
  readonly logSums: Binding;
}
