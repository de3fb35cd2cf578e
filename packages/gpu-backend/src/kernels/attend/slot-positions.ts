import { whole, type Binding } from "../../dispatch/binding";
import type { Dispatch } from "../../dispatch/dispatch";
import { boundRows, tensorOperand } from "../../dispatch/operands";
import type { PagedSource } from "./attend-sources";
import type { GroupRows } from "./group-rows";
import {
  OWN_NUMBERS_PARAMS,
  POSITION_SLOTS,
  STORED_POSITIONS,
  STORED_POSITIONS_PARAMS,
  ownNumbers,
} from "./slot-positions.wgsl";

/**
 * Leave in `into` the positions of the group's rows, if they are given by number, then by head those of its slots.
 *
 * @param rowPositions u32, by the numbers of rows.
 */
export function planPositions(
  rows: GroupRows,
  { kv, longest }: PagedSource,
  rowPositions: Binding | null,
  into: Binding,
): Dispatch[] {
  const { kvHeads } = rows.spec.heads;
  const shared = { kv_heads: kvHeads, slots: longest, rows: rows.count };
  return [
    {
      kernel: ownNumbers({ rows: rowPositions !== null }),
      params: OWN_NUMBERS_PARAMS.pack({ ...shared, first_row: rows.number }),
      bindings: { ...(rowPositions === null ? {} : { row_positions: rowPositions }), positions: into },
      grid: [Math.ceil(Math.max(longest, rows.count) / POSITION_SLOTS), kvHeads + 1, 1],
    },
    ...(kv.columns === null
      ? []
      : [
          {
            kernel: STORED_POSITIONS,
            params: STORED_POSITIONS_PARAMS.pack({
              ...shared,
              page_slots: kv.pageSlots,
              column_table_width: kv.columnTable.tensor.shape[2] ?? 0,
            }),
            bindings: {
              column_table: boundRows("column table", kv.columnTable, ["u32"]),
              columns: whole(tensorOperand("columns", kv.columns, ["f32"])),
              positions: into,
            },
            grid: [Math.ceil(longest / POSITION_SLOTS), kvHeads, 1] as const,
          },
        ]),
  ];
}
