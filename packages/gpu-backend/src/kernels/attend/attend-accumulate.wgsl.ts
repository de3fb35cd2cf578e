import { STORED_COLUMNS, WAITING, type StoredColumn } from "@winnow/core-tensor";

import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { LOWEST } from "../../wgsl/lowest";
import { COLUMN_PLACES } from "../../wgsl/paged";

/** Slots of a workgroup, one a thread. */
export const ACCUMULATE_SLOTS = 64;

export interface AttendAccumulateVariant {
  /** `scores`: those that the split left. `weights`: sums and greatest weights, of the newest row and of the others. */
  readonly from: "scores" | "weights";
}

export const ACCUMULATE_PARAMS = paramBlock({
  query_heads: "u32",
  kv_heads: "u32",
  rows: "u32",
  // Slots that a head has room for among the weights.
  slots: "u32",
  page_slots: "u32",
  column_table_width: "u32",
  // Of a tile of the split that left the scores.
  split_keys: "u32",
  // Whether the row before waits to be added.
  pending: "u32",
});

/**
 * Puts what rows gave each slot into the columns that its head stores: the newest row's weights into `lastMass` and
 * `lastMaxWeight`, and those of the others, with what waited there, into `mass` and `maxWeight`. The data of `scores` are
 * those of the split.
 */
export const attendAccumulateKernel = kernelVariants((variant: AttendAccumulateVariant) =>
  defineKernel({
    label: "attend.accumulate",
    params: ACCUMULATE_PARAMS,
    storage: {
      column_table: { access: "read", type: "array<u32>" },
      lengths: { access: "read", type: "array<u32>" },
      columns: { access: "write", type: "array<f32>" },
      ...(variant.from === "scores"
        ? ({
            scores: { access: "read", type: "array<f32>" },
            log_sums: { access: "read", type: "array<f32>" },
          } as const)
        : ({
            sums: { access: "read", type: "array<f32>" },
            greatest: { access: "read", type: "array<f32>" },
            newest_sums: { access: "read", type: "array<f32>" },
            newest_greatest: { access: "read", type: "array<f32>" },
          } as const)),
    },
    ...(variant.from === "scores" ? { data: "array<u32>" } : {}),
    code: `${COLUMN_PLACES}
struct Seen {
  // Of all rows but the newest.
  sum: f32, greatest: f32,
  newest_sum: f32, newest_greatest: f32,
}

${variant.from === "scores" ? FROM_SCORES : FROM_WEIGHTS}

@compute @workgroup_size(${ACCUMULATE_SLOTS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let slot = id.x;
  let head = id.y;
  if (slot >= lengths[head]) { return; }
  let mass = column_place(head, ${numberOf("mass")}, slot);
  let max_weight = column_place(head, ${numberOf("maxWeight")}, slot);
  let last_mass = column_place(head, ${waitingOf("mass")}, slot);
  let last_max_weight = column_place(head, ${waitingOf("maxWeight")}, slot);
  if (min(min(mass, max_weight), min(last_mass, last_max_weight)) == NOWHERE) { return; }
  let seen = seen_by_rows(head, slot);
  if (mass != NOWHERE) {
    var value = columns[mass] + seen.sum;
    if (last_mass == NOWHERE) { value += seen.newest_sum; }
    else if (params.pending != 0u) { value += columns[last_mass]; }
    columns[mass] = value;
  }
  if (max_weight != NOWHERE) {
    var value = max(columns[max_weight], seen.greatest);
    if (last_max_weight == NOWHERE) { value = max(value, seen.newest_greatest); }
    else if (params.pending != 0u) { value = max(value, columns[last_max_weight]); }
    columns[max_weight] = value;
  }
  if (last_mass != NOWHERE) { columns[last_mass] = seen.newest_sum; }
  if (last_max_weight != NOWHERE) { columns[last_max_weight] = seen.newest_greatest; }
}
`,
  }),
);

function numberOf(column: StoredColumn): string {
  return `${STORED_COLUMNS.indexOf(column)}u`;
}

function waitingOf(column: "mass" | "maxWeight"): string {
  const waiting = WAITING[column];
  return waiting === undefined ? numberOf(column) : numberOf(waiting.column);
}

const FROM_SCORES = `
fn seen_by_rows(head: u32, slot: u32) -> Seen {
  let per_group = params.query_heads / params.kv_heads;
  let vectors = params.rows * per_group;
  let at = (data[head] * params.split_keys + slot) * vectors;
  var seen = Seen(0.0, 0.0, 0.0, 0.0);
  for (var v = 0u; v < vectors; v++) {
    let score = scores[at + v];
    // A row does not see those behind it.
    if (score == ${LOWEST}) { continue; }
    let row = v / per_group;
    let weight = exp(score - log_sums[row * params.query_heads + head * per_group + v % per_group]);
    if (row + 1u == params.rows) {
      seen.newest_sum += weight;
      seen.newest_greatest = max(seen.newest_greatest, weight);
    } else {
      seen.sum += weight;
      seen.greatest = max(seen.greatest, weight);
    }
  }
  return seen;
}`;

const FROM_WEIGHTS = `
fn seen_by_rows(head: u32, slot: u32) -> Seen {
  let at = head * params.slots + slot;
  return Seen(sums[at], greatest[at], newest_sums[at], newest_greatest[at]);
}`;
