import type { GpuLimits } from "../../device/limits";
import { scratch, whole, type Binding } from "../../dispatch/binding";
import type { Dispatch } from "../../dispatch/dispatch";
import { boundRows, tensorOperand } from "../../dispatch/operands";
import { ACCUMULATE_PARAMS, ACCUMULATE_SLOTS, attendAccumulateKernel } from "./attend-accumulate.wgsl";
import { planSeen, type RecordOutput } from "./attend-record";
import { splitKeys } from "./attend-split.wgsl";
import type { PagedSource } from "./attend-sources";
import type { GroupRows } from "./group-rows";

/** Scores that the split of a group left behind. */
export interface SplitScores {
  readonly binding: Binding;
  /** Of head h: the tiles of the heads before it. */
  readonly tiles: Uint32Array;
}

/** Add what the group's rows give each kept slot to the columns that its head stores. */
export function planAccumulate(
  rows: GroupRows,
  paged: PagedSource,
  scores: SplitScores | null,
  limits: GpuLimits,
): Dispatch[] {
  const { kv, longest } = paged;
  if (kv.columns === null) return [];
  const { queryHeads, kvHeads } = rows.spec.heads;
  const seen = (name: string, reduce: "sum" | "max", newest: boolean): RecordOutput => ({
    into: scratch(`attend.${name}`, kvHeads * longest * 4),
    room: longest,
    reduce,
    takes: (row) => (row === rows.count - 1) === newest,
  });
  const sums = seen("sums", "sum", false);
  const greatest = seen("greatest", "max", false);
  const newestSums = seen("newestSums", "sum", true);
  const newestGreatest = seen("newestGreatest", "max", true);
  return [
    ...(scores === null ? planSeen(rows, [sums, greatest, newestSums, newestGreatest], paged, limits) : []),
    {
      kernel: attendAccumulateKernel({ from: scores === null ? "weights" : "scores" }),
      params: ACCUMULATE_PARAMS.pack({
        query_heads: queryHeads,
        kv_heads: kvHeads,
        rows: rows.count,
        slots: longest,
        page_slots: kv.pageSlots,
        column_table_width: kv.columnTable.tensor.shape[2] ?? 0,
        split_keys: splitKeys(kv.pageSlots),
        pending: kv.pending ? 1 : 0,
      }),
      bindings: {
        column_table: boundRows("column table", kv.columnTable, ["u32"]),
        lengths: whole(paged.lengths),
        columns: whole(tensorOperand("columns", kv.columns, ["f32"])),
        ...(scores === null
          ? {
              sums: sums.into,
              greatest: greatest.into,
              newest_sums: newestSums.into,
              newest_greatest: newestGreatest.into,
            }
          : { scores: scores.binding, log_sums: rows.logSums }),
      },
      ...(scores === null ? {} : { data: scores.tiles }),
      grid: [Math.ceil(longest / ACCUMULATE_SLOTS), kvHeads, 1],
    },
  ];
}
