import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { SLOT_PLACES } from "../../wgsl/paged";
import type { Vector } from "../../wgsl/vector";
import { KEPT_LISTS } from "../move-slots/kept-lists.wgsl";
import { COMPACT_PARAMS } from "./compact-slab.wgsl";

export const STAGE_THREADS = 64;

export interface CompactStageVariant {
  readonly vector: Vector;
  /** Out of the slab that a slot lies in, before anything moves; or into the slab that it goes to, at the end. */
  readonly direction: "out" | "in";
}

/** Copies the kept slots that go to another slab out of one slab, or into it. */
export const compactStageKernel = kernelVariants((variant: CompactStageVariant) => {
  const type = `array<${variant.vector.type}>`;
  const out = variant.direction === "out";
  return defineKernel({
    label: `compact.${variant.direction}`,
    params: COMPACT_PARAMS,
    storage: {
      lists: { access: "read", type: "array<u32>" },
      page_table: { access: "read", type: "array<u32>" },
      slab: { access: out ? "read" : "write", type },
      // [kv_heads, room, lanes], by the slot that the vector goes to.
      staged: { access: out ? "write" : "read", type },
    },
    code: compactStageWgsl(variant),
  });
});

function compactStageWgsl({ direction }: CompactStageVariant): string {
  const out = direction === "out";
  return `${KEPT_LISTS}
${SLOT_PLACES}
@compute @workgroup_size(${STAGE_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let head = id.y;
  let end = kept_count(head) * params.lanes;
  for (var i = id.x; i < end; i += groups.x * ${STAGE_THREADS}u) {
    let slot = i / params.lanes;
    let source = kept_column(head, slot);
    let page = slot_page(head, slot);
    let source_page = slot_page(head, source);
    if (source_page / params.pages_per_slab == page / params.pages_per_slab) { continue; }
    if (${out ? "source_page" : "page"} / params.pages_per_slab != params.slab) { continue; }
    let lane = params.first_lane + i % params.lanes;
    let place = slot_place(${out ? "source_page, source" : "page, slot"}) + lane / params.units * params.page_slots;
    ${
      out
        ? "staged[head * params.room * params.lanes + i] = slab[place * params.units + lane % params.units];"
        : "slab[place * params.units + lane % params.units] = staged[head * params.room * params.lanes + i];"
    }
  }
}
`;
}
