import type { KvType } from "@winnow/core-tensor";

import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { lanesOf } from "../../wgsl/lanes";
import { kvVectors, type KvVectors } from "../../wgsl/kv";
import { LOWEST } from "../../wgsl/lowest";
import { softCapped } from "../../wgsl/soft-cap";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";

/**
 * Keys of a workgroup, one a thread: those of one page at most, so that they lie in one slab, and what comes out does not
 * depend on which.
 */
export function splitKeys(pageSlots: number): number {
  return Math.min(64, pageSlots);
}

export interface AttendSplitVariant {
  readonly headDim: number;
  readonly storage: KvType;
  /** Keys of a workgroup. */
  readonly keys: number;
  /** Room for the query vectors of a KV head: rows times the query heads that share it. */
  readonly vectors: number;
  /** Whether each slot's scores are left behind too, by tile, key and vector: the lowest number where it is not seen. */
  readonly scores: boolean;
  readonly capped: boolean;
  /** Whether rows see a window of positions. */
  readonly windowed: boolean;
}

export const SPLIT_PARAMS = paramBlock({
  query_heads: "u32",
  kv_heads: "u32",
  rows: "u32",
  qkv_row: "u32",
  scale: "f32",
  records: "u32",
  slab: "u32",
  page_slots: "u32",
  pages_per_slab: "u32",
  table_width: "u32",
  appended: "u32",
  soft_cap: "f32",
  window: "u32",
  // Of the first row; and where the positions of slots begin, and how many a head has there.
  position: "u32",
  slot_positions: "u32",
  slots: "u32",
});

/**
 * Attention of a few query rows over one slab, split over the keys (Flash-Decoding): each workgroup takes one tile of
 * one head's slots from a flat list, so a head with few slots costs few workgroups. A key is read once for all query
 * heads that share it. Leaves a record for the merge per tile and query vector. Its data: of head h, the tiles of the
 * heads before it.
 */
export const attendSplitKernel = kernelVariants((variant: AttendSplitVariant) => {
  const type = `array<${lanesOf(variant.headDim).type}>`;
  return defineKernel({
    label: "attend.split",
    params: SPLIT_PARAMS,
    storage: {
      qkv: { access: "read", type },
      outputs: { access: "write", type },
      stats: { access: "write", type: "array<vec2f>" },
      page_table: { access: "read", type: "array<u32>" },
      lengths: { access: "read", type: "array<u32>" },
      slab: { access: "read", type: slabOf(variant).type },
      ...(variant.scores ? ({ kept_scores: { access: "write", type: "array<f32>" } } as const) : {}),
      ...(variant.windowed ? ({ positions: { access: "read", type: "array<u32>" } } as const) : {}),
    },
    data: "array<u32>",
    code: attendSplitWgsl(variant),
  });
});

/** Threads that have no unit of the output to themselves share one, each with a slice of the keys. */
export function splitSlices(headDim: number, keys: number): number {
  return Math.max(1, Math.floor(keys / lanesOf(headDim).units));
}

function slabOf({ headDim, storage }: Pick<AttendSplitVariant, "headDim" | "storage">): KvVectors {
  const { width, units } = lanesOf(headDim);
  return kvVectors("slab", storage, width, units);
}

function attendSplitWgsl(variant: AttendSplitVariant): string {
  const { headDim, vectors, storage, scores, keys, capped, windowed } = variant;
  const slab = slabOf({ headDim, storage });
  const { type, units } = lanesOf(headDim);
  const slices = splitSlices(headDim, keys);
  return `
alias V = ${type};
const UNITS = ${units}u;
// Elements of a slab from one row to the next.
const STRIDE = ${slab.stride}u;
const KEYS = ${keys}u;
const VECTORS = ${vectors}u;
const SLICES = ${slices}u;

${FLAT_WORKGROUP}

var<workgroup> queries: array<V, ${vectors * units}>;
// By key and vector.
var<workgroup> scores: array<f32, ${keys * vectors}>;
var<workgroup> reduced: array<f32, ${keys * vectors}>;
var<workgroup> greatest: array<f32, VECTORS>;
// By key: which vectors see it, and where its value lies.
var<workgroup> seen_by: array<u32, KEYS>;
var<workgroup> values_at: array<u32, KEYS>;
var<workgroup> parts: array<V, ${vectors * slices * units}>;

fn first_tile(head: u32) -> u32 { return data[head]; }

@compute @workgroup_size(KEYS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tile = flat_workgroup(group, groups);
  if (tile >= first_tile(params.kv_heads)) { return; }
  var head = 0u;
  while (tile >= first_tile(head + 1u)) { head++; }
  let per_group = params.query_heads / params.kv_heads;
  // The last one fills the room that is left; what it gives is written once.
  let vectors = params.rows * per_group;
  for (var i = thread; i < VECTORS * UNITS; i += KEYS) {
    let vector = min(i / UNITS, vectors - 1u);
    let row = params.qkv_row + vector / per_group;
    let query_head = head * per_group + vector % per_group;
    queries[i] = qkv[(row * (params.query_heads + 2u * params.kv_heads) + query_head) * UNITS + i % UNITS] * params.scale;
  }
  workgroupBarrier();

  let slot = (tile - first_tile(head)) * KEYS + thread;
  let length = lengths[head];
  var products = array<V, VECTORS>();
  var key_scale = 1.0;
  var seen = 0u;
  var here = false;
  if (slot < length) {
    let page = page_table[head * params.table_width + slot / params.page_slots];
    here = page / params.pages_per_slab == params.slab;
    if (here) {
      let k_at = ((page % params.pages_per_slab) * 2u * params.page_slots + slot % params.page_slots) * STRIDE;
      values_at[thread] = k_at + params.page_slots * STRIDE;
      key_scale = ${slab.scale("k_at")};
      for (var i = 0u; i < UNITS; i++) {
        let key = ${slab.read("k_at", "i")};
        for (var v = 0u; v < VECTORS; v++) { products[v] += queries[v * UNITS + i] * key; }
      }
      ${windowed ? "let position = positions[params.slot_positions + head * params.slots + slot];" : ""}
      for (var v = 0u; v < VECTORS; v++) {
        let row = min(v, vectors - 1u) / per_group;
        // Of the rows that were appended, each sees those up to itself.
        let hidden = select(0u, params.appended - 1u - row, params.appended > 0u);
        seen |= select(0u, 1u << v, slot + hidden < length${windowed ? " && params.position + row - position < params.window" : ""});
      }
    }
  }
  seen_by[thread] = seen;
  for (var v = 0u; v < VECTORS; v++) {
    let found = ${softCapped(capped, "dot(products[v], V(1.0)) * key_scale")};
    let score = select(${LOWEST}, found, (seen & (1u << v)) != 0u);
    scores[thread * VECTORS + v] = score;
    reduced[thread * VECTORS + v] = score;${
      scores ? "\n    if (here && v < vectors) { kept_scores[(tile * KEYS + thread) * vectors + v] = score; }" : ""
    }
  }
  for (var half = KEYS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    for (var i = thread; i < half * VECTORS; i += KEYS) { reduced[i] = max(reduced[i], reduced[i + half * VECTORS]); }
  }
  workgroupBarrier();
  for (var v = thread; v < VECTORS; v += KEYS) { greatest[v] = reduced[v]; }
  workgroupBarrier();
  for (var i = thread; i < KEYS * VECTORS; i += KEYS) {
    let weight = exp(scores[i] - greatest[i % VECTORS]);
    scores[i] = weight * ${slab.scale("values_at[i / VECTORS]")};
    reduced[i] = select(0.0, weight, (seen_by[i / VECTORS] & (1u << (i % VECTORS))) != 0u);
  }
  for (var half = KEYS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    for (var i = thread; i < half * VECTORS; i += KEYS) { reduced[i] += reduced[i + half * VECTORS]; }
  }
  workgroupBarrier();
  let record = params.records + tile * vectors;
  for (var v = thread; v < vectors; v += KEYS) { stats[record + v] = vec2<f32>(greatest[v], reduced[v]); }

  for (var unit = thread; unit < SLICES * UNITS; unit += KEYS) {
    var sums = array<V, VECTORS>();
    for (var k = unit / UNITS; k < KEYS; k += SLICES) {
      let by = seen_by[k];
      if (by == 0u) { continue; }
      let value = ${slab.read("values_at[k]", "unit % UNITS")};
      for (var v = 0u; v < VECTORS; v++) {
        // A key that is not seen must not even be multiplied by 0: it may not be a number.
        if ((by & (1u << v)) != 0u) { sums[v] += scores[k * VECTORS + v] * value; }
      }
    }
    for (var v = 0u; v < VECTORS; v++) { parts[unit * VECTORS + v] = sums[v]; }
  }
  workgroupBarrier();
  for (var i = thread; i < vectors * UNITS; i += KEYS) {
    let v = i / UNITS;
    var sum = V();
    for (var slice = 0u; slice < SLICES; slice++) { sum += parts[(slice * UNITS + i % UNITS) * VECTORS + v]; }
    outputs[(record + v) * UNITS + i % UNITS] = sum;
  }
}
`;
}
