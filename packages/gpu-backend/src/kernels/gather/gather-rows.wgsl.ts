import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { plainVectors, type PlainKvType, type PlainVectors } from "../../wgsl/kv";
import { SLOT_PLACES } from "../../wgsl/paged";
import { Q8_ROWS_WGSL, Q8_THREADS } from "../../wgsl/q8";
import { KEPT_LISTS } from "../move-slots/kept-lists.wgsl";
import { GATHER_PARAMS } from "./gather.wgsl";

export interface GatherRowsVariant {
  readonly scratch: PlainKvType;
}

/** What `gatherKernel` does, into slabs in q8: a few threads a slot. */
export const gatherRowsKernel = kernelVariants(({ scratch }: GatherRowsVariant) =>
  defineKernel({
    label: "gather.rows",
    params: GATHER_PARAMS,
    storage: {
      lists: { access: "read", type: "array<u32>" },
      page_table: { access: "read", type: "array<u32>" },
      keys: { access: "read", type: plainVectors("keys", scratch, 4).type },
      values: { access: "read", type: plainVectors("values", scratch, 4).type },
      slab: { access: "write", type: "array<u32>" },
    },
    code: `${KEPT_LISTS}
${SLOT_PLACES}
${Q8_ROWS_WGSL}
@compute @workgroup_size(${Q8_THREADS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = group.y;
  let kept = kept_count(head);
  for (var first = group.x * ROWS; first < kept; first += groups.x * ROWS) {
    let number = first + thread / LANES;
    let slot = first_slot(head) + number;
    let page = slot_page(head, slot);
    let here = number < kept && page / params.pages_per_slab == params.slab;
    let row = params.start + kept_column(head, number) - first_column(head);
    let source = (head * params.capacity + row) * params.units;
    let place = slot_place(page, slot);
    ${(["keys", "values"] as const)
      .map((of) => quantiseWgsl(plainVectors(of, scratch, 4), of === "keys" ? "place" : "(place + params.page_slots)"))
      .join("\n    ")}
  }
}
`,
  }),
);

/** Copy a row of the scratch to its place, where that is in the slab. */
function quantiseWgsl({ read }: PlainVectors, place: string): string {
  return `{
      var greatest = 0u;
      for (var i = thread % LANES; here && i < params.units; i += LANES) { greatest = max(greatest, magnitude(${read("source + i")})); }
      let scale = row_scale(greatest, thread);
      let inverse = row_inverse(scale);
      let to = ${place} * (params.units + 1u);
      for (var i = thread % LANES; here && i < params.units; i += LANES) { slab[to + i] = row_word(${read("source + i")}, inverse); }
      if (here && thread % LANES == 0u) { slab[to + params.units] = scale; }
    }`;
}
