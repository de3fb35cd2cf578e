import { defineKernel } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";

/** Elements of a workgroup, one a thread. */
export const COPY_THREADS = 64;

export const COPY_PARAMS = paramBlock({ first: "u32", count: "u32", to: "u32" });

/** Copies elements of one buffer to a place in another, within a plan. */
export const COPY = defineKernel({
  label: "copy",
  params: COPY_PARAMS,
  storage: {
    source: { access: "read", type: "array<f32>" },
    into: { access: "write", type: "array<f32>" },
  },
  code: `${FLAT_WORKGROUP}

@compute @workgroup_size(${COPY_THREADS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = flat_workgroup(group, groups) * ${COPY_THREADS}u + thread;
  if (i < params.count) { into[params.to + i] = source[params.first + i]; }
}`,
});
