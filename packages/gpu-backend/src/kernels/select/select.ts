import { WinnowError, expectShape, type SelectSpec } from "@winnow/core-tensor";

import type { GpuCapabilities } from "../../device/capabilities";
import type { GpuLimits } from "../../device/limits";
import { whole } from "../../dispatch/binding";
import type { Dispatch, Plan } from "../../dispatch/dispatch";
import { flatGrid } from "../../dispatch/grid";
import { tensorOperand } from "../../dispatch/operands";
import { planRanks, ranksIn } from "../rank-slots/rank-plan";
import { rankBytes, rankSlots } from "../rank-slots/rank-slots";
import { slotBindings, slotParams } from "../rank-slots/slot-source";
import { SELECT_PARAMS, selectKernel } from "./select.wgsl";

/** Memory that the ranks of layers selected together may take; more layers than fit are selected one part after another. */
const RANK_BYTES = 64 * 2 ** 20;

/** Run every head's program over its slots: the ranks of all layers, then who is kept. */
export function planSelect(spec: SelectSpec, { limits }: GpuCapabilities): Plan {
  const { slots, headsPerLayer, programs, keep, kept } = spec;
  expectShape("select", "keep", keep.shape, [slots.rowCount, Math.ceil(slots.capacity / 32)]);
  expectShape("select", "kept", kept.shape, [slots.rowCount]);
  if (programs.length !== slots.rowCount) {
    throw new WinnowError("shape", `select: ${programs.length} programs for ${slots.rowCount} rows; give one a row`);
  }
  return planLayers(spec, 0, Math.ceil(slots.rowCount / headsPerLayer), limits);
}

function planLayers(spec: SelectSpec, firstLayer: number, layers: number, limits: GpuLimits): Dispatch[] {
  const { slots, headsPerLayer, programs, scores, now, keep, kept } = spec;
  const firstRow = firstLayer * headsPerLayer;
  const rowCount = Math.min(layers * headsPerLayer, slots.rowCount - firstRow);
  const plan = planRanks({
    slots,
    headsPerLayer,
    firstRow,
    rowCount,
    programs,
    scores,
    wanted: (row) => ranksIn(programs[row]?.keep ?? []),
  });
  const room = Math.min(RANK_BYTES, limits.maxStorageBufferBindingSize);
  if (layers > 1 && rankBytes(plan, slots, limits) > room) {
    const half = Math.ceil(layers / 2);
    return [
      ...planLayers(spec, firstLayer, half, limits),
      ...planLayers(spec, firstLayer + half, layers - half, limits),
    ];
  }
  const { keys, thresholds, dispatches } = rankSlots(plan, slots, { now, seedRow: spec.firstRow }, limits);
  return [
    ...dispatches,
    {
      kernel: selectKernel({ slots: slots.kind }),
      params: SELECT_PARAMS.pack({
        ...slotParams(slots, plan),
        rows: rowCount,
        rows_at: plan.rowsAt,
        keep_words: keep.shape[1] ?? 0,
        now,
      }),
      bindings: {
        ...slotBindings(slots),
        keys,
        thresholds,
        keep: whole(tensorOperand("keep", keep, ["u32"])),
        kept: whole(tensorOperand("kept", kept, ["u32"])),
      },
      data: plan.words,
      grid: flatGrid(rowCount, limits),
    },
  ];
}
