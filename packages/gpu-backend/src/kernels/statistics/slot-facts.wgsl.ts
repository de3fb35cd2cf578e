import { WinnowError } from "@winnow/core-tensor";

import { defineFault } from "../../dispatch/fault";
import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";

/** Slots of a workgroup, one a thread. */
export const SLOT_THREADS = 64;

/** `kept` of a head come before `fresh` rows of the scratch, the first of which has number `start`. */
export const FACTS_PARAMS = paramBlock({
  first_row: "u32",
  capacity: "u32",
  fresh: "u32",
  start: "u32",
  known: "u32",
});

const TOO_MANY = defineFault(
  (slots, capacity) =>
    new WinnowError("shape", `statistics: a head has ${slots} slots, and the table holds ${capacity} a row`),
);

export interface SlotFactsVariant {
  /** Whether there are kept slots, and fresh rows with positions of their own. */
  readonly paged: boolean;
  readonly fresh: boolean;
}

/**
 * Each head's number of slots, and their positions as if no kept slot had ever been dropped: what a head stores comes
 * after.
 */
export const slotFactsKernel = kernelVariants((variant: SlotFactsVariant) =>
  defineKernel({
    label: "statistics.slots",
    params: FACTS_PARAMS,
    storage: {
      ...(variant.paged ? ({ lengths: { access: "read", type: "array<u32>" } } as const) : {}),
      ...(variant.fresh ? ({ new_positions: { access: "read", type: "array<u32>" } } as const) : {}),
      counts: { access: "write", type: "array<u32>" },
      positions: { access: "write", type: "array<u32>" },
    },
    fault: TOO_MANY,
    code: `
@compute @workgroup_size(${SLOT_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let slot = id.x;
  let row = params.first_row + id.y;
  let kept = ${variant.paged ? "lengths[id.y]" : "0u"};
  let count = min(kept + params.fresh, params.capacity);
  if (slot == 0u) {
    counts[row] = count;
    if (count < kept + params.fresh) { report_fault(kept + params.fresh, params.capacity); }
  }
  if (slot >= count) { return; }
  var position = slot;
  ${variant.fresh ? "if (slot >= kept) { position = new_positions[params.start + slot - kept]; }" : ""}
  positions[row * params.capacity + slot] = position;
}`,
  }),
);

/** The class bits of each slot's token, by its position. */
export const SLOT_FLAGS = defineKernel({
  label: "statistics.flags",
  params: FACTS_PARAMS,
  storage: {
    class_flags: { access: "read", type: "array<u32>" },
    counts: { access: "read", type: "array<u32>" },
    positions: { access: "read", type: "array<u32>" },
    slot_flags: { access: "write", type: "array<u32>" },
  },
  code: `
@compute @workgroup_size(${SLOT_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = params.first_row + id.y;
  if (id.x >= counts[row]) { return; }
  let at = row * params.capacity + id.x;
  slot_flags[at] = select(0u, class_flags[min(positions[at], params.known - 1u)], positions[at] < params.known);
}`,
});
