import type { KvType } from "@winnow/core-tensor";

import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { lanesOf } from "../../wgsl/lanes";
import { kvVectors, type KvVectors } from "../../wgsl/kv";
import { LOWEST } from "../../wgsl/lowest";
import { softCapped } from "../../wgsl/soft-cap";

/** Query vectors of a workgroup, one a thread: rows times the query heads that share a KV head. */
export const TILE_VECTORS = 64;

export interface AttendTileVariant {
  readonly headDim: number;
  /** What the keys are: kept slots in their head's order, or the rows being read. */
  readonly source: "staged" | "scratch";
  /** Of the keys and values. */
  readonly storage: KvType;
  /** Keys that a workgroup has in its own memory at a time. */
  readonly keys: number;
  readonly capped: boolean;
  /** Whether rows see a window of positions. */
  readonly windowed: boolean;
}

export const TILE_PARAMS = paramBlock({
  query_heads: "u32",
  kv_heads: "u32",
  rows: "u32",
  qkv_row: "u32",
  scale: "f32",
  records: "u32",
  first_head: "u32",
  appended: "u32",
  context_start: "u32",
  context_count: "u32",
  own_start: "u32",
  own_rows: "u32",
  capacity: "u32",
  soft_cap: "f32",
  window: "u32",
  // Of the first row; and where the positions of slots begin, and how many a head has there.
  position: "u32",
  slot_positions: "u32",
  slots: "u32",
});

/**
 * Attention of many query rows over one source of keys: each thread has a row of a query head, its query and its output
 * in registers, and the workgroup walks over the keys of their KV head in tiles with an online softmax
 * (FlashAttention, arXiv 2205.14135, algorithm 1). Leaves an unnormalised output and its (greatest score, sum) per row
 * and query head, for the merge.
 */
export const attendTileKernel = kernelVariants((variant: AttendTileVariant) => {
  const type = `array<${lanesOf(variant.headDim).type}>`;
  return defineKernel({
    label: "attend.tile",
    params: TILE_PARAMS,
    storage: {
      qkv: { access: "read", type },
      outputs: { access: "write", type },
      stats: { access: "write", type: "array<vec2f>" },
      ...(variant.source === "staged" ? ({ lengths: { access: "read", type: "array<u32>" } } as const) : {}),
      ...(variant.source === "staged" && variant.windowed
        ? ({ positions: { access: "read", type: "array<u32>" } } as const)
        : {}),
      keys: { access: "read", type: vectorsOf("keys", variant).type },
      values: { access: "read", type: vectorsOf("values", variant).type },
    },
    code: attendTileWgsl(variant),
  });
});

/** How keys, or values, are read. */
function vectorsOf(variable: string, { headDim, storage }: AttendTileVariant): KvVectors {
  const { width, units } = lanesOf(headDim);
  return kvVectors(variable, storage, width, units);
}

function attendTileWgsl(variant: AttendTileVariant): string {
  const { headDim, source, keys, capped, windowed } = variant;
  const { type, units } = lanesOf(headDim);
  const keyData = vectorsOf("keys", variant);
  const valueData = vectorsOf("values", variant);
  const row =
    source === "staged"
      ? "slot"
      : "select(params.own_start + slot - params.context_count, params.context_start + slot, slot < params.context_count)";
  // How far a row is ahead of a key, whose place among the source's is `slot`.
  const distance =
    source === "staged"
      ? "params.position + row - positions[params.slot_positions + head * params.slots + slot]"
      : `params.own_start + row - ${row}`;
  return `
alias V = ${type};
const UNITS = ${units}u;
// Elements of the source from one row to the next.
const STRIDE = ${keyData.stride}u;
const VECTORS = ${TILE_VECTORS}u;
const KEYS = ${keys}u;

var<workgroup> tile_k: array<V, ${keys * units}>;
var<workgroup> tile_v: array<V, ${keys * units}>;

@compute @workgroup_size(VECTORS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let head = params.first_head + group.y;
  let per_group = params.query_heads / params.kv_heads;
  let row = (group.x * VECTORS + thread) / per_group;
  let query_head = head * per_group + (group.x * VECTORS + thread) % per_group;
  let last_row = min((group.x * VECTORS + VECTORS - 1u) / per_group, params.rows - 1u);
  // Keys before those that are the rows' own: all rows see them.
  ${
    source === "staged"
      ? `let shared_keys = lengths[head] - params.appended;
  let own = params.appended;`
      : `let shared_keys = params.context_count;
  let own = params.own_rows;`
  }
  let seen_by_last = shared_keys + min(own, last_row + 1u);
  let seen = select(0u, shared_keys + min(own, row + 1u), row < params.rows);

  var q: array<V, UNITS>;
  var o: array<V, UNITS>;
  if (row < params.rows) {
    let at = ((params.qkv_row + row) * (params.query_heads + 2u * params.kv_heads) + query_head) * UNITS;
    for (var i = 0u; i < UNITS; i++) { q[i] = qkv[at + i] * params.scale; }
  }
  var greatest = ${LOWEST};
  var sum = 0.0;
  var first = 0u;
  ${
    windowed && source === "scratch"
      ? `// Whole tiles of the context that lie behind every row's window.
  let newest_unseen = params.own_start + group.x * VECTORS / per_group;
  if (newest_unseen >= params.window + params.context_start) {
    first = min(params.context_count, newest_unseen - params.window - params.context_start) / KEYS * KEYS;
  }`
      : ""
  }
  for (; first < seen_by_last; first += KEYS) {
    workgroupBarrier();
    for (var i = thread; i < KEYS * UNITS; i += VECTORS) {
      let slot = first + i / UNITS;
      if (slot < seen_by_last) {
        let row = ${row};
        // Of the heads that are staged, the place is counted from the first.
        let at = ((head - params.first_head) * params.capacity + row) * STRIDE;
        tile_k[i] = ${keyData.read("at", "i % UNITS")} * ${keyData.scale("at")};
        tile_v[i] = ${valueData.read("at", "i % UNITS")} * ${valueData.scale("at")};
      }
    }
    workgroupBarrier();
    let count = min(KEYS, select(0u, seen - first, seen > first));
    for (var k = 0u; k < count; k++) {
      ${
        windowed
          ? `let slot = first + k;
      if (${distance} >= params.window) { continue; }`
          : ""
      }
      var products = V();
      for (var i = 0u; i < UNITS; i++) { products += q[i] * tile_k[k * UNITS + i]; }
      let score = ${softCapped(capped, "dot(products, V(1.0))")};
      if (score > greatest) {
        let shrink = exp(greatest - score);
        greatest = score;
        sum *= shrink;
        for (var i = 0u; i < UNITS; i++) { o[i] *= shrink; }
      }
      let weight = exp(score - greatest);
      sum += weight;
      for (var i = 0u; i < UNITS; i++) { o[i] += weight * tile_v[k * UNITS + i]; }
    }
  }
  if (row < params.rows) {
    let record = params.records + row * params.query_heads + query_head;
    stats[record] = vec2<f32>(greatest, sum);
    for (var i = 0u; i < UNITS; i++) { outputs[record * UNITS + i] = o[i]; }
  }
}
`;
}
