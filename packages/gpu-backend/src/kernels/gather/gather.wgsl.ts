import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { plainVectors, type PlainKvType, type PlainVectors } from "../../wgsl/kv";
import { SLOT_PLACES } from "../../wgsl/paged";
import type { Vector } from "../../wgsl/vector";
import { KEPT_LISTS } from "../move-slots/kept-lists.wgsl";

export const GATHER_THREADS = 64;

/** Columns that a list has room for, vectors of a head, and rows of the scratch. */
export const GATHER_PARAMS = paramBlock({
  room: "u32",
  units: "u32",
  capacity: "u32",
  start: "u32",
  slab: "u32",
  page_slots: "u32",
  pages_per_slab: "u32",
  table_width: "u32",
});

export interface GatherVariant {
  readonly vector: Vector;
  readonly storage: PlainKvType;
  readonly scratch: PlainKvType;
}

/** Copies the kept scratch rows into those slots behind the kept ones whose pages lie in one slab. */
export const gatherKernel = kernelVariants(({ vector, storage, scratch }: GatherVariant) => {
  const slab = plainVectors("slab", storage, vector.width);
  const keys = plainVectors("keys", scratch, vector.width);
  const values = plainVectors("values", scratch, vector.width);
  return defineKernel({
    label: "gather",
    params: GATHER_PARAMS,
    storage: {
      lists: { access: "read", type: "array<u32>" },
      page_table: { access: "read", type: "array<u32>" },
      keys: { access: "read", type: keys.type },
      values: { access: "read", type: values.type },
      slab: { access: "write", type: slab.type },
    },
    code: gatherWgsl(slab, keys, values),
  });
});

function gatherWgsl(slab: PlainVectors, keys: PlainVectors, values: PlainVectors): string {
  return `${KEPT_LISTS}
${SLOT_PLACES}
@compute @workgroup_size(${GATHER_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let head = id.y;
  let end = kept_count(head) * params.units;
  for (var i = id.x; i < end; i += groups.x * ${GATHER_THREADS}u) {
    let slot = first_slot(head) + i / params.units;
    let unit = i % params.units;
    let page = slot_page(head, slot);
    if (page / params.pages_per_slab != params.slab) { continue; }
    let row = params.start + kept_column(head, i / params.units) - first_column(head);
    let source = (head * params.capacity + row) * params.units + unit;
    let place = slot_place(page, slot);
    ${slab.write("place * params.units + unit", keys.read("source"))}
    ${slab.write("(place + params.page_slots) * params.units + unit", values.read("source"))}
  }
}
`;
}
