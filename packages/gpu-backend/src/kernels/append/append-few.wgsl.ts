import { isQuantisedKv, type KvType } from "@winnow/core-tensor";

import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { SLOT_PLACES } from "../../wgsl/paged";
import { QUANTISE_THREADS } from "../../wgsl/quantised-kv";
import { slabFields, slabStorage, type SlabGroup } from "../../wgsl/slab-group";
import type { Vector } from "../../wgsl/vector";
import { APPEND_COLUMN } from "./append-columns.wgsl";
import { appendRowWgsl } from "./append-rows.wgsl";
import { appendVectorWgsl, storedType } from "./append.wgsl";

/** Rows from which one workgroup a head is too few. */
export const MOST_FEW_ROWS = 16;

export interface AppendFewVariant {
  /** Divides half a head. */
  readonly vector: Vector;
  readonly storage: KvType;
  readonly slabs: SlabGroup;
  /** Whether any head stores columns. */
  readonly columns: boolean;
}

const FIXED_PARAMS = {
  rows: "u32",
  query_heads: "u32",
  kv_heads: "u32",
  // Vectors in half a head.
  half: "u32",
  first_row: "u32",
  first_rotation: "u32",
  first_position: "u32",
  page_slots: "u32",
  pages_per_slab: "u32",
  table_width: "u32",
  column_table_width: "u32",
} as const;

/** Storage buffers beside the slabs. */
export const APPEND_FEW_BUFFERS = 7;

/**
 * All that appending a few rows to pages is: a workgroup has a KV head, the queries that share it, its new slots with what
 * is stored beside them, and its length.
 */
export const appendFewKernel = kernelVariants((variant: AppendFewVariant) => {
  const type = `array<${variant.vector.type}>`;
  const { vector, storage, slabs } = variant;
  return defineKernel({
    label: "append.few",
    params: paramBlock({ ...FIXED_PARAMS, ...slabFields(slabs) }),
    storage: {
      qkv: { access: "write", type },
      rotation: { access: "read", type },
      page_table: { access: "read", type: "array<u32>" },
      lengths: { access: "write", type: "array<u32>" },
      ...slabStorage(slabs, isQuantisedKv(storage) ? "array<u32>" : storedType({ vector, storage })),
      ...(variant.columns
        ? ({
            column_table: { access: "read", type: "array<u32>" },
            positions: { access: "read", type: "array<u32>" },
            columns: { access: "write", type: "array<u32>" },
          } as const)
        : {}),
    },
    code: `
${
  isQuantisedKv(storage)
    ? [
        appendVectorWgsl({ vector, into: "queries", storage: "f32" }),
        SLOT_PLACES,
        appendRowWgsl(vector, storage, slabs),
      ].join("\n")
    : appendVectorWgsl({ vector, into: "slab", storage }, slabs)
}
${variant.columns ? APPEND_COLUMN : ""}

@compute @workgroup_size(${QUANTISE_THREADS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = group.x;
  let queries = params.query_heads / params.kv_heads;
  let vectors = queries${isQuantisedKv(storage) ? "" : " + 2u"};
  for (var i = thread; i < params.rows * vectors * params.half; i += ${QUANTISE_THREADS}u) {
    let vector = i / params.half % vectors;
    var index = head * queries + vector;
    if (vector >= queries) { index = params.query_heads + (vector - queries) * params.kv_heads + head; }
    append_vector(i / (vectors * params.half), index, i % params.half);
  }
  ${
    isQuantisedKv(storage)
      ? `for (var first = 0u; first < params.rows * 2u; first += ROWS) {
    let i = first + thread / LANES;
    append_row(i < params.rows * 2u, i / 2u, params.query_heads + i % 2u * params.kv_heads + head, thread);
  }`
      : ""
  }
  ${
    variant.columns
      ? `for (var i = thread; i < params.rows * COLUMNS; i += ${QUANTISE_THREADS}u) { append_column(i / COLUMNS, head, i % COLUMNS); }`
      : ""
  }
  storageBarrier();
  workgroupBarrier();
  if (thread == 0u) { lengths[head] += params.rows; }
}`,
  });
});
