import { STORED_COLUMNS } from "@winnow/core-tensor";

import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { COLUMN_PLACES } from "../../wgsl/paged";

/** Slots of a workgroup, one a thread. */
export const POSITION_SLOTS = 64;

export const OWN_NUMBERS_PARAMS = paramBlock({ kv_heads: "u32", slots: "u32", rows: "u32", first_row: "u32" });

/**
 * The positions of a group's rows, where they are asked for, then by head those of its slots as if nothing had ever been
 * dropped: a slot's own number.
 */
export const ownNumbers = kernelVariants(({ rows }: { readonly rows: boolean }) =>
  defineKernel({
    label: "attend.positions",
    params: OWN_NUMBERS_PARAMS,
    storage: {
      ...(rows ? ({ row_positions: { access: "read", type: "array<u32>" } } as const) : {}),
      positions: { access: "write", type: "array<u32>" },
    },
    code: `
@compute @workgroup_size(${POSITION_SLOTS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let slot = id.x;
  let head = id.y;
  if (head == params.kv_heads) {
    ${rows ? "if (slot < params.rows) { positions[slot] = row_positions[params.first_row + slot]; }" : ""}
  } else if (slot < params.slots) {
    positions[params.rows + head * params.slots + slot] = slot;
  }
}`,
  }),
);

export const STORED_POSITIONS_PARAMS = paramBlock({
  kv_heads: "u32",
  slots: "u32",
  rows: "u32",
  page_slots: "u32",
  column_table_width: "u32",
});

/** The positions of slots whose head stores them. */
export const STORED_POSITIONS = defineKernel({
  label: "attend.positions",
  params: STORED_POSITIONS_PARAMS,
  storage: {
    column_table: { access: "read", type: "array<u32>" },
    columns: { access: "read", type: "array<u32>" },
    positions: { access: "write", type: "array<u32>" },
  },
  code: `${COLUMN_PLACES}
@compute @workgroup_size(${POSITION_SLOTS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let slot = id.x;
  let head = id.y;
  if (slot >= params.slots) { return; }
  let place = column_place(head, ${STORED_COLUMNS.indexOf("position")}u, slot);
  if (place == NOWHERE || place >= arrayLength(&columns)) { return; }
  positions[params.rows + head * params.slots + slot] = columns[place];
}`,
});
