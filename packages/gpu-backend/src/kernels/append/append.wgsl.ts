import { defineKernel, kernelVariants, type StorageVariable } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { plainVectors, type PlainKvType } from "../../wgsl/kv";
import { SLOT_PLACES } from "../../wgsl/paged";
import { inSlab, slabGroup, slabStorage, type SlabGroup } from "../../wgsl/slab-group";
import type { Vector } from "../../wgsl/vector";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";

/** Pairs of vectors that turn together, one a thread. */
export const APPEND_THREADS = 64;

/** The slab of a kernel that has one. */
export const ONE_SLAB = slabGroup(1);

export interface AppendVariant {
  /** Divides half a head. */
  readonly vector: Vector;
  /** `queries`: nothing is put anywhere, and there are neither keys nor values to look at. */
  readonly into: "scratch" | "slab" | "queries";
  /** Of the slab or the scratch. */
  readonly storage: PlainKvType;
}

export const APPEND_PARAMS = paramBlock({
  rows: "u32",
  query_heads: "u32",
  // None where another dispatch turns them.
  turned_heads: "u32",
  kv_heads: "u32",
  // Vectors in half a head.
  half: "u32",
  first_row: "u32",
  first_rotation: "u32",
  // Of a scratch.
  capacity: "u32",
  at: "u32",
  // Of a slab.
  slab_0: "u32",
  page_slots: "u32",
  pages_per_slab: "u32",
  table_width: "u32",
});

/**
 * Turns queries in place, and puts turned keys and values into scratch, or into those slots behind the kept ones whose
 * pages lie in one slab.
 */
export const appendKernel = kernelVariants((variant: AppendVariant) => {
  const type = `array<${variant.vector.type}>`;
  return defineKernel({
    label: `append.${variant.into}`,
    params: APPEND_PARAMS,
    storage: {
      qkv: { access: "write", type },
      rotation: { access: "read", type },
      ...targetOf(variant),
    },
    code: appendWgsl(variant),
  });
});

function targetOf(variant: AppendVariant): Record<string, StorageVariable> {
  switch (variant.into) {
    case "slab":
      return {
        page_table: { access: "read", type: "array<u32>" },
        lengths: { access: "read", type: "array<u32>" },
        ...slabStorage(ONE_SLAB, storedType(variant)),
      };
    case "scratch": {
      const type = storedType(variant);
      return { keys: { access: "write", type }, values: { access: "write", type } };
    }
    case "queries":
      return {};
  }
}

/** The variables' type that vectors are put into. */
export function storedType({ vector, storage }: Pick<AppendVariant, "vector" | "storage">): string {
  return plainVectors("slab", storage, vector.width).type;
}

function appendWgsl(variant: AppendVariant): string {
  return `${FLAT_WORKGROUP}
${appendVectorWgsl(variant)}

@compute @workgroup_size(${APPEND_THREADS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = flat_workgroup(group, groups) * ${APPEND_THREADS}u + thread;
  let heads = params.turned_heads${variant.into === "queries" ? "" : " + 2u * params.kv_heads"};
  let row = i / (heads * params.half);
  if (row >= params.rows) { return; }
  // Queries that are not turned here are skipped over.
  append_vector(row, i / params.half % heads + params.query_heads - params.turned_heads, i % params.half);
}
`;
}

/**
 * What is done with one pair of vectors of a row's q, k and v.
 *
 * @param slabs those that keys and values may go to.
 */
export function appendVectorWgsl({ into, vector, storage }: AppendVariant, slabs = ONE_SLAB): string {
  const slab = into === "slab";
  const write = (place: string, kind: "keys" | "values", value: string): string =>
    slab ? `put(slab, ${place}, ${value});` : plainVectors(kind, storage, vector.width).write(place, value);
  const putValue = `if (index >= params.query_heads + params.kv_heads) {
    ${placeWgsl("index - params.query_heads - params.kv_heads", slab, "v")}
    ${write("to", "values", "a")}
    ${write("to + params.half", "values", "b")}
    return;
  }`;
  const putKey = `${placeWgsl("index - params.query_heads", slab, "k")}
  ${write("to", "keys", "turned_a")}
  ${write("to + params.half", "keys", "turned_b")}`;
  return `${slab ? [SLOT_PLACES, putWgsl(vector, storage, slabs)].join("\n") : ""}
fn append_vector(row: u32, index: u32, lane: u32) {
  let at = (((params.first_row + row) * (params.query_heads + 2u * params.kv_heads) + index) * 2u) * params.half + lane;
  let a = qkv[at];
  let b = qkv[at + params.half];
  ${into === "queries" ? "" : putValue}
  let angles = (params.first_rotation + row) * 2u * params.half + lane;
  let cosines = rotation[angles];
  let sines = rotation[angles + params.half];
  let turned_a = a * cosines - b * sines;
  let turned_b = b * cosines + a * sines;
  if (index < params.query_heads) {
    qkv[at] = turned_a;
    qkv[at + params.half] = turned_b;
    return;
  }
  ${into === "queries" ? "" : putKey}
}`;
}

/** Nothing is put where the page's slab is not bound. */
function putWgsl({ type, width }: Vector, storage: PlainKvType, slabs: SlabGroup): string {
  return `fn put(slab: u32, at: u32, value: ${type}) {
  ${inSlab(slabs, "slab", (name) => plainVectors(name, storage, width).write("at", "value"))}
}`;
}

/** Where a head's key or value of the row goes. */
function placeWgsl(head: string, slab: boolean, kind: "k" | "v"): string {
  if (!slab) return `let to = ((${head}) * params.capacity + params.at + row) * 2u * params.half + lane;`;
  return `let slot = lengths[${head}] + row;
    let page = slot_page(${head}, slot);
    let slab = page / params.pages_per_slab;
    let to = (slot_place(page, slot)${kind === "v" ? " + params.page_slots" : ""}) * 2u * params.half + lane;`;
}
