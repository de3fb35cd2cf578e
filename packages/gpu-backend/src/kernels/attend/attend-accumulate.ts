import type { GpuLimits } from "../../device/limits";
import { scratch, whole } from "../../dispatch/binding";
import type { Dispatch } from "../../dispatch/dispatch";
import { tensorOperand } from "../../dispatch/operands";
import { slabsOf } from "../../dispatch/slabs";
import type { GroupRows } from "./group-rows";
import { ACCUMULATE_PARAMS, ACCUMULATE_SLOTS, ATTEND_ACCUMULATE } from "./attend-accumulate.wgsl";
import { planSeen, type RecordOutput } from "./attend-record";
import type { PagedSource } from "./attend-sources";

/** Add what the group's rows give each kept slot to the columns that its head stores. */
export function planAccumulate(rows: GroupRows, paged: PagedSource, limits: GpuLimits): Dispatch[] {
  const { kv, longest } = paged;
  const columnSlabs = slabsOf("column slab", kv.columnSlabs);
  if (columnSlabs.length === 0) return [];
  const { kvHeads } = rows.spec.heads;
  const seen = (name: string, reduce: "sum" | "max", takes: RecordOutput["takes"]): RecordOutput => ({
    into: scratch(`attend.${name}`, kvHeads * longest * 4),
    room: longest,
    reduce,
    takes,
  });
  const sums = seen("sums", "sum", () => true);
  const greatest = seen("greatest", "max", () => true);
  const newest = seen("newest", "sum", (row) => row === rows.count - 1);
  const table = tensorOperand("column table", kv.columnTable, ["u32"]);
  return [
    ...planSeen(rows, [sums, greatest, newest], paged, limits),
    ...columnSlabs.map(({ number, tensor }): Dispatch => ({
      kernel: ATTEND_ACCUMULATE,
      params: ACCUMULATE_PARAMS.pack({
        kv_heads: kvHeads,
        slots: longest,
        slab: number,
        page_slots: kv.pageSlots,
        pages_per_slab: kv.columnPagesPerSlab,
        table_width: kv.columnTable.shape[2] ?? 0,
      }),
      bindings: {
        column_table: whole(table),
        lengths: whole(paged.lengths),
        sums: sums.into,
        greatest: greatest.into,
        newest: newest.into,
        slab: whole(tensor),
      },
      grid: [Math.ceil(longest / ACCUMULATE_SLOTS), kvHeads, 1],
    })),
  ];
}
