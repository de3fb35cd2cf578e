import type { QuantisedKvType } from "@winnow/core-tensor";

import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { plainVectors, type PlainKvType } from "../../wgsl/kv";
import { SLOT_PLACES } from "../../wgsl/paged";
import { QUANTISE_THREADS, quantiseRowWgsl, quantiseWgsl, quantisedStride } from "../../wgsl/quantised-kv";
import { KEPT_LISTS } from "../move-slots/kept-lists.wgsl";
import { GATHER_PARAMS } from "./gather.wgsl";

export interface GatherRowsVariant {
  readonly scratch: PlainKvType;
  readonly storage: QuantisedKvType;
}

/** What `gatherKernel` does, into quantised slabs: a few threads a slot. */
export const gatherRowsKernel = kernelVariants(({ scratch, storage }: GatherRowsVariant) =>
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
${quantiseWgsl(storage)}
@compute @workgroup_size(${QUANTISE_THREADS})
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
      .map((of) => {
        const { read } = plainVectors(of, scratch, 4);
        const at = of === "keys" ? "place" : "(place + params.page_slots)";
        return quantiseRowWgsl(storage, {
          present: "here",
          fours: "params.units",
          read: (four) => read(`source + ${four}`),
          to: `${at} * ${quantisedStride(storage, "params.units")}`,
          write: (to, word) => `slab[${to}] = ${word};`,
        });
      })
      .join("\n    ")}
  }
}
`,
  }),
);
