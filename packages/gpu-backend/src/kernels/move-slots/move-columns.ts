import { STORED_COLUMNS, type SlotTable } from "@winnow/core-tensor";

import { scratch, whole } from "../../dispatch/binding";
import type { Dispatch } from "../../dispatch/dispatch";
import type { Grid } from "../../dispatch/grid";
import { boundRows, tensorOperand } from "../../dispatch/operands";
import type { KeptLists, SlotMove } from "./kept-lists";
import { STAGE_COLUMNS, STAGE_COLUMNS_PARAMS } from "./stage-columns.wgsl";
import { COLUMN_SLOTS, TABLE_COLUMNS, WRITE_COLUMNS_PARAMS, writeColumnsKernel } from "./write-columns.wgsl";

/** Columns of the table that are bound at once: with what else the kernel needs, as many as every device allows. */
const GIVEN_AT_ONCE = 3;

/**
 * Set what heads store beside kept slots: from the table where it has the column.
 *
 * @param slots the table, if there is one.
 * @param own the other columns move with their slots; else they are set to 0.
 */
export function moveColumns(move: SlotMove, lists: KeptLists, slots: SlotTable | null, own: boolean): Dispatch[] {
  const { heads, paged, firstRow } = move;
  if (paged.columns === null) return [];
  const columns = whole(tensorOperand("columns", paged.columns, ["f32"]));
  const columnTable = boundRows("column table", paged.columnTable, ["u32"]);
  const places = {
    room: lists.room,
    page_slots: paged.pageSlots,
    column_table_width: paged.columnTable.tensor.shape[2] ?? 0,
  };
  const grid: Grid = [Math.ceil(lists.room / COLUMN_SLOTS), STORED_COLUMNS.length, heads.kvHeads];
  const given = TABLE_COLUMNS.flatMap((name) => {
    const column = slots?.columns[name];
    return column === undefined ? [] : [{ name, binding: whole(tensorOperand(name, column, ["f32"])) }];
  });
  const staged =
    own && given.length < TABLE_COLUMNS.length
      ? scratch("move.columns", heads.kvHeads * STORED_COLUMNS.length * lists.room * 4)
      : null;
  const plan: Dispatch[] = [];
  if (staged !== null) {
    plan.push({
      kernel: STAGE_COLUMNS,
      params: STAGE_COLUMNS_PARAMS.pack(places),
      bindings: { lists: lists.binding, column_table: columnTable, columns, staged },
      grid,
    });
  }
  const names = given.map(({ name }) => name);
  for (let first = 0; first === 0 || first < given.length; first += GIVEN_AT_ONCE) {
    const some = given.slice(first, first + GIVEN_AT_ONCE);
    // The first pass writes what does not come from the table, too.
    const rest = first > 0 ? "written" : staged === null ? "zero" : "staged";
    const positions = first === 0 ? slots?.position : undefined;
    plan.push({
      kernel: writeColumnsKernel({
        given: some.map(({ name }) => name),
        later: names.slice(first + GIVEN_AT_ONCE),
        rest,
        positions: positions !== undefined,
      }),
      params: WRITE_COLUMNS_PARAMS.pack({ ...places, capacity: slots?.capacity ?? 0, first_row: firstRow }),
      bindings: {
        lists: lists.binding,
        column_table: columnTable,
        columns,
        ...(positions === undefined ? {} : { positions: whole(tensorOperand("positions", positions, ["u32"])) }),
        ...Object.fromEntries(some.map(({ name, binding }) => [`of_${name}`, binding])),
        ...(rest === "staged" && staged !== null ? { staged } : {}),
      },
      grid,
    });
  }
  return plan;
}
