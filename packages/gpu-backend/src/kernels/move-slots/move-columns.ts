import { STORED_COLUMNS } from "@winnow/core-tensor";

import { scratch, whole } from "../../dispatch/binding";
import type { Dispatch } from "../../dispatch/dispatch";
import type { Grid } from "../../dispatch/grid";
import { tensorOperand } from "../../dispatch/operands";
import { slabsOf } from "../../dispatch/slabs";
import type { KeptLists, SlotMove } from "./kept-lists";
import { STAGE_COLUMNS, STAGE_COLUMNS_PARAMS } from "./stage-columns.wgsl";
import { COLUMN_SLOTS, TABLE_COLUMNS, WRITE_COLUMNS_PARAMS, writeColumnsKernel } from "./write-columns.wgsl";

/**
 * Set what heads store beside kept slots: from the table where it has the column.
 *
 * @param own the other columns move with their slots; else they are set to 0.
 */
export function moveColumns(move: SlotMove, lists: KeptLists, own: boolean): Dispatch[] {
  const { heads, paged, slots, firstRow } = move;
  const slabs = slabsOf("column slab", paged.columnSlabs);
  const columnTable = whole(tensorOperand("column table", paged.columnTable, ["u32"]));
  const places = {
    room: lists.room,
    page_slots: paged.pageSlots,
    column_pages_per_slab: paged.columnPagesPerSlab,
    column_table_width: paged.columnTable.shape[2] ?? 0,
  };
  const grid: Grid = [Math.ceil(lists.room / COLUMN_SLOTS), STORED_COLUMNS.length, heads.kvHeads];
  const given = TABLE_COLUMNS.flatMap((name) => {
    const column = slots.columns[name];
    return column === undefined ? [] : [{ name, binding: whole(tensorOperand(name, column, ["f32"])) }];
  });
  const staged =
    own && given.length < TABLE_COLUMNS.length
      ? scratch("move.columns", heads.kvHeads * STORED_COLUMNS.length * lists.room * 4)
      : null;
  const stage =
    staged === null
      ? []
      : slabs.map(({ number, tensor }): Dispatch => ({
          kernel: STAGE_COLUMNS,
          params: STAGE_COLUMNS_PARAMS.pack({ ...places, slab: number }),
          bindings: { lists: lists.binding, column_table: columnTable, slab: whole(tensor), staged },
          grid,
        }));
  const kernel = writeColumnsKernel({ given: given.map(({ name }) => name), staged: staged !== null });
  const write = slabs.map(({ number, tensor }): Dispatch => ({
    kernel,
    params: WRITE_COLUMNS_PARAMS.pack({ ...places, capacity: slots.capacity, first_row: firstRow, slab: number }),
    bindings: {
      lists: lists.binding,
      column_table: columnTable,
      slab: whole(tensor),
      positions: whole(tensorOperand("positions", slots.position, ["u32"])),
      ...Object.fromEntries(given.map(({ name, binding }) => [`of_${name}`, binding])),
      ...(staged === null ? {} : { staged }),
    },
    grid,
  }));
  return [...stage, ...write];
}
