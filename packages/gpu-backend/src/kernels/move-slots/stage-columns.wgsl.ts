import { defineKernel } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { COLUMN_PLACES } from "../../wgsl/paged";
import { KEPT_LISTS } from "./kept-lists.wgsl";
import { COLUMN_SLOTS } from "./write-columns.wgsl";

export const STAGE_COLUMNS_PARAMS = paramBlock({
  room: "u32",
  page_slots: "u32",
  column_table_width: "u32",
});

/** Copies what is stored beside kept slots, before anything is written there. */
export const STAGE_COLUMNS = defineKernel({
  label: "move.stageColumns",
  params: STAGE_COLUMNS_PARAMS,
  storage: {
    lists: { access: "read", type: "array<u32>" },
    column_table: { access: "read", type: "array<u32>" },
    columns: { access: "read", type: "array<u32>" },
    // [kv_heads, columns, room], by the slot that the entry goes to.
    staged: { access: "write", type: "array<u32>" },
  },
  code: `${KEPT_LISTS}
${COLUMN_PLACES}
@compute @workgroup_size(${COLUMN_SLOTS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let column = id.y;
  let head = id.z;
  if (i >= kept_count(head)) { return; }
  let place = column_place(head, column, kept_column(head, i));
  if (place == NOWHERE) { return; }
  staged[(head * COLUMNS + column) * params.room + i] = columns[place];
}
`,
});
