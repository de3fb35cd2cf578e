import { STORED_COLUMNS } from "@winnow/core-tensor";

import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { COLUMN_PLACES, SLOT_PLACES } from "../../wgsl/paged";
import { inSlab, slabFields, slabStorage, type SlabGroup } from "../../wgsl/slab-group";
import type { Vector } from "../../wgsl/vector";

/** Lanes of a workgroup: vectors of a slot's key and value, which move without regard to each other. */
export const PAGES_LANES = 4;

const THREADS = 256;
/** Slots that a thread holds at a time. */
const HELD = 4;

/** Storage buffers beside the slabs, the data's included. */
export const PAGES_BUFFERS = 6;

export interface CompactPagesVariant {
  readonly vector: Vector;
  readonly slabs: SlabGroup;
  /** Whether any head stores columns. */
  readonly columns: boolean;
}

const FIXED_PARAMS = {
  // Words of a row of keep, and the row of the first head.
  words: "u32",
  first_row: "u32",
  // Vectors of a head, and lanes: those of the keys, then those of the values.
  units: "u32",
  lanes: "u32",
  page_slots: "u32",
  pages_per_slab: "u32",
  table_width: "u32",
  column_table_width: "u32",
} as const;

/**
 * Moves the kept slots of every head down over the dropped ones, with what is stored beside them, wherever they lie. A
 * workgroup walks over some lanes of a head's slots in order, or over what is stored beside them, a tile at a time: it
 * reads the tile, and only then writes it, over what it has read or what was dropped. Its data: the slots of each head.
 */
export const compactPagesKernel = kernelVariants((variant: CompactPagesVariant) =>
  defineKernel({
    label: "compact.pages",
    params: paramBlock({ ...FIXED_PARAMS, ...slabFields(variant.slabs) }),
    storage: {
      keep: { access: "read", type: "array<u32>" },
      lengths: { access: "write", type: "array<u32>" },
      page_table: { access: "read", type: "array<u32>" },
      ...(variant.columns
        ? ({
            column_table: { access: "read", type: "array<u32>" },
            columns: { access: "write", type: "array<u32>" },
          } as const)
        : {}),
      ...slabStorage(variant.slabs, `array<${variant.vector.type}>`),
    },
    data: "array<u32>",
    code: compactPagesWgsl(variant),
  }),
);

function compactPagesWgsl({ vector: { type }, slabs, columns }: CompactPagesVariant): string {
  const held = Array.from({ length: HELD }, (_, i) => i);
  return `
const LANES = ${PAGES_LANES}u;
const THREADS = ${THREADS}u;
// Slots side by side of one lane.
const SLOTS = THREADS / LANES;
const TILE = ${HELD}u * SLOTS;

struct Move {
  moves: bool,
  from_slab: u32, source: u32,
  to_slab: u32, place: u32,
}

${SLOT_PLACES}
/// Bits of the head's slots that are kept; what lies behind them is not the head's.
fn kept_word(head: u32, word: u32) -> u32 {
  let slots = data[head];
  let first = word * 32u;
  if (first >= slots) { return 0u; }
  let bits = keep[(params.first_row + head) * params.words + word];
  return select(bits & ((1u << (slots % 32u)) - 1u), bits, slots - first >= 32u);
}

fn kept_between(head: u32, first: u32, end: u32) -> u32 {
  let last = min(end, (data[head] + 31u) / 32u);
  var kept = 0u;
  for (var word = first; word < last; word++) { kept += countOneBits(kept_word(head, word)); }
  return kept;
}

/// The slot that a kept one goes to, where as many are kept before its tile; itself where it is dropped.
fn target_of(head: u32, tile: u32, before: u32, slot: u32) -> u32 {
  let word = slot / 32u;
  let bits = kept_word(head, word);
  let bit = 1u << (slot % 32u);
  if ((bits & bit) == 0u) { return slot; }
  return before + kept_between(head, tile / 32u, word) + countOneBits(bits & (bit - 1u));
}

fn move_of(head: u32, source: u32, goal: u32, lane: u32) -> Move {
  if (goal == source || lane >= params.lanes) { return Move(false, 0u, 0u, 0u, 0u); }
  let source_page = slot_page(head, source);
  let page = slot_page(head, goal);
  let values = lane / params.units * params.page_slots;
  return Move(
    true,
    source_page / params.pages_per_slab,
    (slot_place(source_page, source) + values) * params.units + lane % params.units,
    page / params.pages_per_slab,
    (slot_place(page, goal) + values) * params.units + lane % params.units,
  );
}

fn load(slab: u32, at: u32) -> ${type} {
  ${inSlab(slabs, "slab", (name) => `return ${name}[at];`)}
  return ${type}();
}

fn store(slab: u32, at: u32, value: ${type}) {
  ${inSlab(slabs, "slab", (name) => `${name}[at] = value;`)}
}

fn move_slots(head: u32, slots: u32, first_lane: u32, thread: u32) {
  let lane = first_lane + thread % LANES;
  var before = 0u;
  for (var tile = 0u; tile < slots; tile += TILE) {
    let first = tile + thread / LANES;
    ${held.map((i) => `let slot_${i} = first + ${i}u * SLOTS;\n    let move_${i} = move_of(head, slot_${i}, target_of(head, tile, before, slot_${i}), lane);`).join("\n    ")}
    ${held.map((i) => `var held_${i} = ${type}();\n    if (move_${i}.moves) { held_${i} = load(move_${i}.from_slab, move_${i}.source); }`).join("\n    ")}
    storageBarrier();
    workgroupBarrier();
    ${held.map((i) => `if (move_${i}.moves) { store(move_${i}.to_slab, move_${i}.place, held_${i}); }`).join("\n    ")}
    before += kept_between(head, tile / 32u, (tile + TILE) / 32u);
  }
}
${columns ? MOVE_COLUMNS : ""}
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = group.y;
  let slots = data[head];
  let first_lane = group.x * LANES;
  if (first_lane < params.lanes) {
    move_slots(head, slots, first_lane, thread);
    return;
  }
  ${columns ? "move_columns(head, slots, thread);" : ""}
  if (thread == 0u) { lengths[head] = kept_between(head, 0u, params.words); }
}
`;
}

const NUMBERS = STORED_COLUMNS.map((_, column) => column);

const MOVE_COLUMNS = `
${COLUMN_PLACES}
fn move_columns(head: u32, slots: u32, thread: u32) {
  var before = 0u;
  for (var tile = 0u; tile < slots; tile += THREADS) {
    let slot = tile + thread;
    let goal = target_of(head, tile, before, slot);
    ${NUMBERS.map(
      (column) => `var held_${column} = 0u;
    let place_${column} = select(NOWHERE, column_place(head, ${column}u, goal), goal != slot);
    if (place_${column} != NOWHERE) { held_${column} = columns[column_place(head, ${column}u, slot)]; }`,
    ).join("\n    ")}
    storageBarrier();
    workgroupBarrier();
    ${NUMBERS.map((column) => `if (place_${column} != NOWHERE) { columns[place_${column}] = held_${column}; }`).join("\n    ")}
    before += kept_between(head, tile / 32u, (tile + THREADS) / 32u);
  }
}
`;
