import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";
import { BOOL_PROGRAM } from "../rank-slots/bool-program";
import { RANK_TESTS } from "../rank-slots/rank-tests";
import { SLOT_PARAMS, slotStorage, slotWgsl, type SlotSource } from "../rank-slots/slot-source";

const THREADS = 256;

export interface SelectVariant {
  readonly slots: SlotSource;
}

export const SELECT_PARAMS = paramBlock({
  ...SLOT_PARAMS,
  // Rows of the plan, and where they begin among the words.
  rows: "u32",
  rows_at: "u32",
  // Words of a row of keep.
  keep_words: "u32",
  now: "u32",
});

/** Runs each row's program on its slots, once the ranks are there. One workgroup a row. */
export const selectKernel = kernelVariants(({ slots }: SelectVariant) =>
  defineKernel({
    label: "select",
    params: SELECT_PARAMS,
    storage: {
      ...slotStorage(slots),
      keys: { access: "read", type: "array<u32>" },
      thresholds: { access: "read", type: "array<u32>" },
      keep: { access: "write", type: "array<u32>" },
      kept: { access: "write", type: "array<u32>" },
    },
    data: "array<u32>",
    code: `${FLAT_WORKGROUP}

const THREADS = ${THREADS}u;
const WORDS = THREADS / 32u;

var<workgroup> bits: array<atomic<u32>, WORDS>;
var<workgroup> total: atomic<u32>;
${RANK_TESTS}
${slotWgsl(slots)}
${BOOL_PROGRAM}
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = flat_workgroup(group, groups);
  if (row >= params.rows) { return; }
  let table_row = params.table_row + row;
  let count = slots_of(row);
  let first = data[params.rows_at + row * 4u + 2u];
  let end = data[params.rows_at + row * 4u + 3u];
  var own = 0u;
  // Words behind the last slot are written too: they may hold anything.
  for (var base = 0u; base < params.capacity; base += THREADS) {
    if (thread < WORDS) { atomicStore(&bits[thread], 0u); }
    workgroupBarrier();
    let number = base + thread;
    if (number < count) {
      if (holds(first, end, Slot(row, number, position_of(row, number)))) {
        atomicOr(&bits[thread / 32u], 1u << (thread % 32u));
        own++;
      }
    }
    workgroupBarrier();
    let word = base / 32u + thread;
    if (thread < WORDS && word < params.keep_words) {
      keep[table_row * params.keep_words + word] = atomicLoad(&bits[thread]);
    }
  }
  atomicAdd(&total, own);
  workgroupBarrier();
  if (thread == 0u) { kept[table_row] = atomicLoad(&total); }
}
`,
  }),
);
