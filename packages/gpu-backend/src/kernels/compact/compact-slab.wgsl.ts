import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { SLOT_PLACES } from "../../wgsl/paged";
import type { Vector } from "../../wgsl/vector";
import { KEPT_LISTS } from "../move-slots/kept-lists.wgsl";

/** Lanes of a workgroup: vectors of a slot's key and value, which move without regard to each other. */
export const COMPACT_LANES = 4;

const THREADS = 256;
/** Slots that a thread holds at a time. */
const HELD = 4;

/** Columns that a list has room for, vectors of a head, and lanes: those of the keys, then those of the values. */
export const COMPACT_PARAMS = paramBlock({
  room: "u32",
  units: "u32",
  first_lane: "u32",
  lanes: "u32",
  slab: "u32",
  page_slots: "u32",
  pages_per_slab: "u32",
  table_width: "u32",
});

/**
 * Moves kept slots down where they stay in one slab. A workgroup walks over some lanes of a head's slots in order, a tile
 * at a time: it reads the tile, and only then writes it, over what it has read or what was dropped.
 */
export const compactSlabKernel = kernelVariants((vector: Vector) =>
  defineKernel({
    label: "compact.slab",
    params: COMPACT_PARAMS,
    storage: {
      lists: { access: "read", type: "array<u32>" },
      page_table: { access: "read", type: "array<u32>" },
      slab: { access: "write", type: `array<${vector.type}>` },
    },
    code: compactSlabWgsl(vector),
  }),
);

function compactSlabWgsl({ type }: Vector): string {
  const held = Array.from({ length: HELD }, (_, i) => i);
  return `
const LANES = ${COMPACT_LANES}u;
// Slots side by side, and slots of a tile.
const SLOTS = ${THREADS / COMPACT_LANES}u;
const TILE = ${HELD}u * SLOTS;

struct Move {
  moves: bool,
  source: u32,
  place: u32,
}

${KEPT_LISTS}
${SLOT_PLACES}
fn move_of(head: u32, slot: u32, lane: u32) -> Move {
  if (slot >= kept_count(head) || lane >= params.first_lane + params.lanes) { return Move(false, 0u, 0u); }
  let source = kept_column(head, slot);
  let source_page = slot_page(head, source);
  let page = slot_page(head, slot);
  let here = source_page / params.pages_per_slab == params.slab && page / params.pages_per_slab == params.slab;
  let values = lane / params.units * params.page_slots;
  return Move(
    here && source != slot,
    (slot_place(source_page, source) + values) * params.units + lane % params.units,
    (slot_place(page, slot) + values) * params.units + lane % params.units,
  );
}

@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = group.y;
  let lane = params.first_lane + group.x * LANES + thread % LANES;
  let kept = kept_count(head);
  for (var tile = 0u; tile < kept; tile += TILE) {
    let first = tile + thread / LANES;
    ${held.map((i) => `let move_${i} = move_of(head, first + ${i}u * SLOTS, lane);`).join("\n    ")}
    ${held.map((i) => `var held_${i}: ${type}; if (move_${i}.moves) { held_${i} = slab[move_${i}.source]; }`).join("\n    ")}
    storageBarrier();
    workgroupBarrier();
    ${held.map((i) => `if (move_${i}.moves) { slab[move_${i}.place] = held_${i}; }`).join("\n    ")}
  }
}
`;
}
