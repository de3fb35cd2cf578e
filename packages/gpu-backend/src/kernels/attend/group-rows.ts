import type { AttendSpec } from "@winnow/core-tensor";

import type { GpuTensor } from "../../buffers/gpu-tensor";
import type { Binding } from "../../dispatch/binding";
import type { GroupWindow } from "./group-window";

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
  readonly window: GroupWindow;
  /** u32: positions of the rows, then by head those of its slots, where `planPositions` left them. */
  readonly positions: Binding;
}

/** Parameters of the kernels: how scores are capped, and what rows see by position. */
export function sightParams(
  { spec, window, count }: GroupRows,
  slots: number,
): Readonly<Record<"soft_cap" | "window" | "position" | "slot_positions" | "slots", number>> {
  return {
    soft_cap: spec.softCap ?? 0,
    window: window?.size ?? 0,
    position: window?.position ?? 0,
    slot_positions: count,
    slots,
  };
}
