import { STORED_COLUMNS } from "@winnow/core-tensor";

import { defineKernel } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { COLUMN_PLACES } from "../../wgsl/paged";

/** Entries of a workgroup, one a thread. */
export const APPEND_COLUMNS_THREADS = 64;

export const APPEND_COLUMNS_PARAMS = paramBlock({
  rows: "u32",
  first_position: "u32",
  page_slots: "u32",
  column_table_width: "u32",
});

/**
 * What is set beside a row's slot. The shader binds `lengths`, `column_table`, `positions` and `columns` as words, and
 * its params have `first_position` and what `COLUMN_PLACES` needs.
 */
export const APPEND_COLUMN = `${COLUMN_PLACES}
const POSITION = ${STORED_COLUMNS.indexOf("position")}u;

fn append_column(row: u32, head: u32, column: u32) {
  let place = column_place(head, column, lengths[head] + row);
  if (place == NOWHERE) { return; }
  // 0 has the same bits as a number and as a word.
  columns[place] = select(0u, positions[params.first_position + row], column == POSITION);
}`;

/** Sets what heads store beside new slots: the positions, and else 0. */
export const APPEND_COLUMNS = defineKernel({
  label: "append.columns",
  params: APPEND_COLUMNS_PARAMS,
  storage: {
    column_table: { access: "read", type: "array<u32>" },
    lengths: { access: "read", type: "array<u32>" },
    positions: { access: "read", type: "array<u32>" },
    // f32 but for the positions; 0 has the same bits as either.
    columns: { access: "write", type: "array<u32>" },
  },
  code: `${APPEND_COLUMN}

@compute @workgroup_size(${APPEND_COLUMNS_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  let column = id.y;
  let head = id.z;
  if (row >= params.rows) { return; }
  append_column(row, head, column);
}
`,
});
