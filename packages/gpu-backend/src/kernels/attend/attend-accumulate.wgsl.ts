import { STORED_COLUMNS } from "@winnow/core-tensor";

import { defineKernel } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";

/** Slots of a workgroup, one a thread. */
export const ACCUMULATE_SLOTS = 64;

export const ACCUMULATE_PARAMS = paramBlock({
  kv_heads: "u32",
  slots: "u32",
  slab: "u32",
  page_slots: "u32",
  pages_per_slab: "u32",
  table_width: "u32",
});

const ACCUMULATED = (["mass", "maxWeight", "lastMass"] as const).map((name) => `${STORED_COLUMNS.indexOf(name)}u`);

/**
 * Puts what the newest rows gave each slot into the columns that its head stores: the sum of their weights to `mass`, the
 * greatest to `maxWeight`, the last row's to `lastMass`. One column slab at a time.
 */
export const ATTEND_ACCUMULATE = defineKernel({
  label: "attend.accumulate",
  params: ACCUMULATE_PARAMS,
  storage: {
    column_table: { access: "read", type: "array<u32>" },
    lengths: { access: "read", type: "array<u32>" },
    sums: { access: "read", type: "array<f32>" },
    greatest: { access: "read", type: "array<f32>" },
    newest: { access: "read", type: "array<f32>" },
    slab: { access: "write", type: "array<f32>" },
  },
  code: `
const COLUMNS = ${STORED_COLUMNS.length}u;
const STORED = array<u32, ${ACCUMULATED.length}>(${ACCUMULATED.join(", ")});

@compute @workgroup_size(${ACCUMULATE_SLOTS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let slot = id.x;
  let head = id.y;
  if (slot >= lengths[head]) { return; }
  let seen = head * params.slots + slot;
  for (var kind = 0u; kind < 3u; kind++) {
    let pages = (head * COLUMNS + STORED[kind]) * params.table_width;
    // A head that has no such column says so in its first entry; the others are of no matter.
    if (column_table[pages] == 0xffffffffu) { continue; }
    let page = column_table[pages + slot / params.page_slots];
    if (page / params.pages_per_slab != params.slab) { continue; }
    let at = (page % params.pages_per_slab) * params.page_slots + slot % params.page_slots;
    if (kind == 0u) { slab[at] += sums[seen]; }
    else if (kind == 1u) { slab[at] = max(slab[at], greatest[seen]); }
    else { slab[at] = newest[seen]; }
  }
}
`,
});
