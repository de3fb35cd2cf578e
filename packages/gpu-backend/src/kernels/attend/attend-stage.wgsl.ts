import type { KvType } from "@winnow/core-tensor";

import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { kvVectors } from "../../wgsl/kv";
import { lanesOf } from "../../wgsl/lanes";
import { SLOT_PLACES } from "../../wgsl/paged";

const STAGE_THREADS = 64;

/** Slots that a workgroup looks at. */
export const STAGE_SLOTS = 32;

export interface AttendStageVariant {
  readonly headDim: number;
  /** Of the slab. */
  readonly storage: KvType;
}

export const STAGE_PARAMS = paramBlock({
  slab: "u32",
  page_slots: "u32",
  pages_per_slab: "u32",
  table_width: "u32",
  first_head: "u32",
  capacity: "u32",
});

/** Copies the slots that lie in one slab to where they stand in their head's order, as f32: [heads, capacity, headDim]. */
export const attendStageKernel = kernelVariants((variant: AttendStageVariant) => {
  const { type, units, width } = lanesOf(variant.headDim);
  const slab = kvVectors("slab", variant.storage, width, units);
  return defineKernel({
    label: "attend.stage",
    params: STAGE_PARAMS,
    storage: {
      page_table: { access: "read", type: "array<u32>" },
      lengths: { access: "read", type: "array<u32>" },
      slab: { access: "read", type: slab.type },
      keys: { access: "write", type: `array<${type}>` },
      values: { access: "write", type: `array<${type}>` },
    },
    code: `
const UNITS = ${units}u;
const STRIDE = ${slab.stride}u;
${SLOT_PLACES}

@compute @workgroup_size(${STAGE_THREADS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = params.first_head + group.y;
  let kept = min(lengths[head], params.capacity);
  for (var i = thread; i < ${STAGE_SLOTS}u * UNITS; i += ${STAGE_THREADS}u) {
    let slot = group.x * ${STAGE_SLOTS}u + i / UNITS;
    if (slot >= kept) { return; }
    let page = slot_page(head, slot);
    if (page / params.pages_per_slab != params.slab) { continue; }
    let key = slot_place(page, slot) * STRIDE;
    let value = key + params.page_slots * STRIDE;
    let at = (group.y * params.capacity + slot) * UNITS + i % UNITS;
    keys[at] = ${slab.read("key", "i % UNITS")} * ${slab.scale("key")};
    values[at] = ${slab.read("value", "i % UNITS")} * ${slab.scale("value")};
  }
}
`,
  });
});
