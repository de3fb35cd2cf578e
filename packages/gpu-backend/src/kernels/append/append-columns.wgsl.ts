import { STORED_COLUMNS } from "@winnow/core-tensor";

import { defineKernel } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { COLUMN_PLACES } from "../../wgsl/paged";

/** Entries of a workgroup, one a thread. */
export const APPEND_COLUMNS_THREADS = 64;

export const APPEND_COLUMNS_PARAMS = paramBlock({
  rows: "u32",
  first_position: "u32",
  slab: "u32",
  page_slots: "u32",
  column_pages_per_slab: "u32",
  column_table_width: "u32",
});

/**
 * What is set beside a row's slot, where the page of the column lies in one column slab. The shader binds `lengths`,
 * `column_table`, `positions` and the column slab as words, and its params have `first_position` and what
 * `COLUMN_PLACES` needs.
 *
 * @param slab the column slab's name, whose number is a parameter of the same name.
 */
export function appendColumnWgsl(slab: string): string {
  return `${COLUMN_PLACES}
const POSITION = ${STORED_COLUMNS.indexOf("position")}u;

fn append_column(row: u32, head: u32, column: u32) {
  let slot = lengths[head] + row;
  let page = column_page(head, column, slot);
  if (page / params.column_pages_per_slab != params.${slab}) { return; }
  // 0 has the same bits as a number and as a word.
  ${slab}[column_place(page, slot)] = select(0u, positions[params.first_position + row], column == POSITION);
}`;
}

/** Sets what heads store beside new slots, where its page lies in one column slab: the positions, and else 0. */
export const APPEND_COLUMNS = defineKernel({
  label: "append.columns",
  params: APPEND_COLUMNS_PARAMS,
  storage: {
    column_table: { access: "read", type: "array<u32>" },
    lengths: { access: "read", type: "array<u32>" },
    positions: { access: "read", type: "array<u32>" },
    // f32 but for the positions; 0 has the same bits as either.
    slab: { access: "write", type: "array<u32>" },
  },
  code: `${appendColumnWgsl("slab")}

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
