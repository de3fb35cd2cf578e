import { STORED_COLUMNS } from "@winnow/core-tensor";

import { defineKernel } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";

/** Slots of a workgroup, one a thread. */
export const POSITION_SLOTS = 64;

export const OWN_NUMBERS_PARAMS = paramBlock({ kv_heads: "u32", slots: "u32", rows: "u32", first_row: "u32" });

/**
 * The positions of a group's rows, then by head those of its slots as if nothing had ever been dropped: a slot's own
 * number.
 */
export const OWN_NUMBERS = defineKernel({
  label: "attend.positions",
  params: OWN_NUMBERS_PARAMS,
  storage: {
    row_positions: { access: "read", type: "array<u32>" },
    positions: { access: "write", type: "array<u32>" },
  },
  code: `
@compute @workgroup_size(${POSITION_SLOTS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let slot = id.x;
  let head = id.y;
  if (head == params.kv_heads) {
    if (slot < params.rows) { positions[slot] = row_positions[params.first_row + slot]; }
  } else if (slot < params.slots) {
    positions[params.rows + head * params.slots + slot] = slot;
  }
}`,
});

export const STORED_POSITIONS_PARAMS = paramBlock({
  kv_heads: "u32",
  slots: "u32",
  rows: "u32",
  slab: "u32",
  page_slots: "u32",
  pages_per_slab: "u32",
  table_width: "u32",
});

/** The positions of slots whose head stores them, as far as they lie in one column slab. */
export const STORED_POSITIONS = defineKernel({
  label: "attend.positions",
  params: STORED_POSITIONS_PARAMS,
  storage: {
    column_table: { access: "read", type: "array<u32>" },
    slab: { access: "read", type: "array<u32>" },
    positions: { access: "write", type: "array<u32>" },
  },
  code: `
@compute @workgroup_size(${POSITION_SLOTS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let slot = id.x;
  let head = id.y;
  // Position is the first of the stored columns; a head that has it not says so in the first entry.
  let pages = head * ${STORED_COLUMNS.length}u * params.table_width;
  if (slot >= params.slots || slot / params.page_slots >= params.table_width) { return; }
  if (column_table[pages] == 0xffffffffu) { return; }
  let page = column_table[pages + slot / params.page_slots];
  if (page / params.pages_per_slab != params.slab) { return; }
  let at = (page % params.pages_per_slab) * params.page_slots + slot % params.page_slots;
  positions[params.rows + head * params.slots + slot] = slab[at];
}`,
});
