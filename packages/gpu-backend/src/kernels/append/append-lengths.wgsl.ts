import { defineKernel } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";

/** Heads of a workgroup, one a thread. */
export const APPEND_LENGTHS_THREADS = 64;

export const APPEND_LENGTHS_PARAMS = paramBlock({ rows: "u32", kv_heads: "u32" });

/** Counts the new slots, once everything that looks for the place of a row has run. */
export const APPEND_LENGTHS = defineKernel({
  label: "append.lengths",
  params: APPEND_LENGTHS_PARAMS,
  storage: { lengths: { access: "write", type: "array<u32>" } },
  code: `
@compute @workgroup_size(${APPEND_LENGTHS_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.kv_heads) { lengths[id.x] += params.rows; }
}`,
});
