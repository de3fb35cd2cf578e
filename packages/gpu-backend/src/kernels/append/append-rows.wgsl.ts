import type { QuantisedKvType } from "@winnow/core-tensor";

import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { SLOT_PLACES } from "../../wgsl/paged";
import { QUANTISE_THREADS, quantiseRowWgsl, quantiseWgsl, quantisedStride } from "../../wgsl/quantised-kv";
import type { Vector } from "../../wgsl/vector";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";
import { inSlab, slabStorage } from "../../wgsl/slab-group";
import { APPEND_PARAMS, ONE_SLAB } from "./append.wgsl";

export interface AppendRowsVariant {
  /** Divides half a head, and is no single element. */
  readonly vector: Vector;
  readonly storage: QuantisedKvType;
}

/**
 * Puts turned keys and values into those slots behind the kept ones whose pages lie in one slab, quantised: a few threads a
 * key or value. Queries are left alone.
 */
export const appendRowsKernel = kernelVariants(({ vector, storage }: AppendRowsVariant) => {
  const type = `array<${vector.type}>`;
  return defineKernel({
    label: "append.rows",
    params: APPEND_PARAMS,
    storage: {
      qkv: { access: "read", type },
      rotation: { access: "read", type },
      page_table: { access: "read", type: "array<u32>" },
      lengths: { access: "read", type: "array<u32>" },
      ...slabStorage(ONE_SLAB, "array<u32>"),
    },
    code: `${FLAT_WORKGROUP}
${SLOT_PLACES}
${appendRowWgsl(vector, storage)}

@compute @workgroup_size(${QUANTISE_THREADS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = flat_workgroup(group, groups) * ROWS + thread / LANES;
  let heads = 2u * params.kv_heads;
  append_row(i < params.rows * heads, i / heads, params.query_heads + i % heads, thread);
}
`,
  });
});

/**
 * What the threads of a key or value of a row's q, k and v do together. The shader has `SLOT_PLACES`.
 *
 * @param slabs those that keys and values may go to.
 */
export function appendRowWgsl({ type, width }: Vector, storage: QuantisedKvType, slabs = ONE_SLAB): string {
  return `${quantiseWgsl(storage)}
fn put_word(slab: u32, at: u32, word: u32) {
  ${inSlab(slabs, "slab", (name) => `${name}[at] = word;`)}
}

/// Vector i of a key as it is turned, of a value as it is.
fn turned(row: u32, index: u32, i: u32) -> ${type} {
  let at = (((params.first_row + row) * (params.query_heads + 2u * params.kv_heads) + index) * 2u) * params.half + i;
  let own = qkv[at];
  if (index >= params.query_heads + params.kv_heads) { return own; }
  let angles = (params.first_rotation + row) * 2u * params.half + i;
  if (i < params.half) { return own * rotation[angles] - qkv[at + params.half] * rotation[angles + params.half]; }
  return own * rotation[angles - params.half] + qkv[at - params.half] * rotation[angles];
}

/// Four elements.
fn elements(row: u32, index: u32, i: u32) -> vec4f {
  return ${width === 4 ? "turned(row, index, i)" : "vec4f(turned(row, index, 2u * i), turned(row, index, 2u * i + 1u))"};
}

/// In uniform control flow only.
fn append_row(present: bool, row: u32, index: u32, thread: u32) {
  let fours = params.half${width === 4 ? " * 2u" : ""};
  let is_value = index >= params.query_heads + params.kv_heads;
  let head = index - params.query_heads - select(0u, params.kv_heads, is_value);
  let slot = lengths[head] + row;
  let page = slot_page(head, slot);
  let slab = page / params.pages_per_slab;
  let to = (slot_place(page, slot) + select(0u, params.page_slots, is_value)) * ${quantisedStride(storage, "fours")};
  ${quantiseRowWgsl(storage, {
    present: "present",
    fours: "fours",
    read: (four) => `elements(row, index, ${four})`,
    to: "to",
    write: (at, word) => `put_word(slab, ${at}, ${word});`,
  })}
}`;
}
