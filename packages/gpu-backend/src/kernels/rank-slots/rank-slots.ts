import type { SelectSlots } from "@winnow/core-tensor";

import type { GpuLimits } from "../../device/limits";
import { scratch, whole, type Binding } from "../../dispatch/binding";
import type { Dispatch } from "../../dispatch/dispatch";
import { flatGrid } from "../../dispatch/grid";
import { tensorOperand } from "../../dispatch/operands";
import { COPY, COPY_PARAMS, COPY_THREADS } from "../copy/copy.wgsl";
import type { RankPlan } from "./rank-plan";
import { RANK_PARAMS, rankColumns, rankKernel } from "./rank.wgsl";
import { SLOT_BUFFERS, slotBindings, slotParams } from "./slot-source";

/** Buffers of the ranking kernel beside the columns of a table: keys, thresholds and the plan's words. */
const OTHER_BUFFERS = SLOT_BUFFERS + 3;

const THREADS = 256;
/** From so many slots on that compete together, a workgroup is as large as the device allows, or as this. */
const MANY_SLOTS = 16_384;
const MANY_THREADS = 1024;

/** Positions of the newest row and of the table's first among the rows of all layers. */
export interface RankPlace {
  readonly now: number;
  readonly seedRow: number;
}

/** What rank tests go by, once the rankings are done. */
export interface Ranks {
  readonly keys: Binding;
  readonly thresholds: Binding;
  /** The rankings: one dispatch, or none where no program ranks; before it, columns that are too many to be bound. */
  readonly dispatches: readonly Dispatch[];
}

/** Do the plan's rankings. */
export function rankSlots(plan: RankPlan, slots: SelectSlots, place: RankPlace, limits: GpuLimits): Ranks {
  const keys = scratch("rank.keys", Math.max(1, plan.keys) * 4);
  const thresholds = scratch("rank.thresholds", Math.max(1, plan.thresholds) * 12);
  if (plan.tasks === 0) return { keys, thresholds, dispatches: [] };
  const source = slots.kind === "pages" ? "pages" : packsColumns(plan, limits) ? "packed" : "table";
  const columns = tableColumns(plan, slots);
  const slotsOfPlan = plan.rowCount * slots.capacity;
  const together = scratch("rank.columns", Math.max(1, columns.length) * slotsOfPlan * 4);
  const bound = source === "packed" ? [together] : columns;
  const variant = { scores: plan.scores, columns: source } as const;
  const names = rankColumns(variant);
  const rank: Dispatch = {
    kernel: rankKernel({ threads: threadsOf(plan, limits), ...variant }),
    params: RANK_PARAMS.pack({
      ...slotParams(slots, plan),
      tasks: plan.tasks,
      now: place.now,
      seed_row: place.seedRow + plan.firstRow,
      rows_at: plan.rowsAt,
      constants_at: plan.constantsAt,
      packed_stride: slotsOfPlan,
      zero: 0,
    }),
    bindings: {
      ...slotBindings(slots),
      keys,
      thresholds,
      ...Object.fromEntries(bound.map((binding, i) => [names[i] ?? "", binding])),
    },
    data: plan.words,
    grid: flatGrid(plan.tasks, limits),
  };
  if (source !== "packed") return { keys, thresholds, dispatches: [rank] };
  const first = plan.firstRow * slots.capacity;
  const pack = columns.map((column, i): Dispatch => ({
    kernel: COPY,
    params: COPY_PARAMS.pack({ first, count: slotsOfPlan, to: i * slotsOfPlan }),
    bindings: { source: column, into: together },
    grid: flatGrid(Math.ceil(slotsOfPlan / COPY_THREADS), limits),
  }));
  return { keys, thresholds, dispatches: [...pack, rank] };
}

function tableColumns(plan: RankPlan, slots: SelectSlots): Binding[] {
  if (slots.kind === "pages") return [];
  return plan.columns.flatMap((name) => {
    const column = slots.columns[name];
    return column === undefined ? [] : [whole(tensorOperand(name, column, ["f32"]))];
  });
}

/** Bytes of the largest buffer that a plan's rankings need. */
export function rankBytes(plan: RankPlan, { kind, capacity }: SelectSlots, limits: GpuLimits): number {
  const packs = kind === "table" && packsColumns(plan, limits);
  const packed = packs ? plan.columns.length * plan.rowCount * capacity : 0;
  return 4 * Math.max(plan.keys, packed);
}

function packsColumns({ columns }: RankPlan, limits: GpuLimits): boolean {
  return columns.length + OTHER_BUFFERS > limits.maxStorageBuffersPerShaderStage;
}

function threadsOf(plan: RankPlan, limits: GpuLimits): number {
  const wanted = plan.rivals > MANY_SLOTS ? MANY_THREADS : THREADS;
  return 2 ** Math.floor(Math.log2(Math.min(wanted, limits.maxComputeInvocationsPerWorkgroup)));
}
