import type { ComputedColumn, KvType } from "@winnow/core-tensor";

import { defineKernel, kernelVariants, type StorageVariable } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { kvElements, type KvElements } from "../../wgsl/kv";
import { SLOT_PLACES } from "../../wgsl/paged";
import { SLOT_THREADS } from "./slot-facts.wgsl";

/** Where keys and values lie: in one slab of a paged cache, or in the scratch. */
export type KeySource = "slab" | "scratch";

export const KEY_PARAMS = paramBlock({
  first_row: "u32",
  table_capacity: "u32",
  head_dim: "u32",
  // Of a slab.
  slab: "u32",
  page_slots: "u32",
  pages_per_slab: "u32",
  table_width: "u32",
  // Of the scratch.
  start: "u32",
  fresh: "u32",
  capacity: "u32",
});

export interface KeyVariant {
  readonly source: KeySource;
  /** Of the slab or the scratch. */
  readonly storage: KvType;
  /** Whether there are kept slots, which come before the scratch's rows. */
  readonly paged: boolean;
}

export interface KeyColumnVariant extends KeyVariant {
  readonly column: ComputedColumn;
}

/**
 * A column that follows from keys or values: their lengths, or the cosine of the angle between a key and the head's mean
 * key (KeyDiff, arXiv 2504.15364, section 3).
 */
export const keyColumnKernel = kernelVariants((variant: KeyColumnVariant) => {
  const { column } = variant;
  const ofValues = column === "valueNorm";
  return defineKernel({
    label: `statistics.${column}`,
    params: KEY_PARAMS,
    storage: {
      ...sourceStorage(variant, ofValues),
      ...(column === "keyDiff" ? ({ means: { access: "read", type: "array<f32>" } } as const) : {}),
      column: { access: "write", type: "array<f32>" },
    },
    code: `
${placesWgsl(variant, ofValues)}

@compute @workgroup_size(${SLOT_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.y;
  let found = find(id.x, head);
  if (!found.here) { return; }
  var square = 0.0;
  ${column === "keyDiff" ? "var product = 0.0;\n  var mean_square = 0.0;" : ""}
  for (var d = 0u; d < params.head_dim; d++) {
    let value = ${readerOf(variant, ofValues).read("found.at", "d")};
    square += value * value;
    ${
      column === "keyDiff"
        ? `let mean = means[head * params.head_dim + d];
    product += value * mean;
    mean_square += mean * mean;`
        : ""
    }
  }
  let at = (params.first_row + head) * params.table_capacity + found.slot;
  ${
    column === "keyDiff"
      ? `let scale = sqrt(square) * sqrt(mean_square);
  column[at] = select(product / scale, 0.0, scale == 0.0);`
      : "column[at] = sqrt(square);"
  }
}`,
  });
});

export interface KeyMeanVariant extends KeyVariant {
  /** The first source begins the sums, the others add to them. */
  readonly first: boolean;
}

/** Adds the share of one source to each head's mean key: an element a thread. */
export const keyMeanKernel = kernelVariants((variant: KeyMeanVariant) =>
  defineKernel({
    label: "statistics.keyMean",
    params: KEY_PARAMS,
    storage: {
      ...sourceStorage(variant, false),
      counts: { access: "read", type: "array<u32>" },
      means: { access: "write", type: "array<f32>" },
    },
    code: `
${placesWgsl(variant, false)}

@compute @workgroup_size(${SLOT_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let element = id.x;
  let head = id.y;
  if (element >= params.head_dim) { return; }
  let count = counts[params.first_row + head];
  var sum = ${variant.first ? "0.0" : "means[head * params.head_dim + element]"};
  for (var i = 0u; i < count; i++) {
    let found = find(i, head);
    if (found.here) { sum += ${readerOf(variant, false).read("found.at", "element")} / f32(count); }
  }
  means[head * params.head_dim + element] = sum;
}`,
  }),
);

function nameOf({ source }: KeyVariant, ofValues: boolean): string {
  if (source === "slab") return "slab";
  return ofValues ? "values" : "keys";
}

function readerOf(variant: KeyVariant, ofValues: boolean): KvElements {
  return kvElements(nameOf(variant, ofValues), variant.storage);
}

function sourceStorage(variant: KeyVariant, ofValues: boolean): Record<string, StorageVariable> {
  const { source, paged } = variant;
  return {
    ...(paged ? { lengths: { access: "read", type: "array<u32>" } as const } : {}),
    ...(source === "slab" ? { page_table: { access: "read", type: "array<u32>" } as const } : {}),
    [nameOf(variant, ofValues)]: { access: "read", type: readerOf(variant, ofValues).type },
  };
}

/** `find(i, head)`: the i-th place of the source, which slot it is, and where its key (or value) begins. */
function placesWgsl(variant: KeyVariant, ofValues: boolean): string {
  const { source, paged } = variant;
  const { declarations, begin } = readerOf(variant, ofValues);
  return `
${declarations}
struct Found { here: bool, slot: u32, at: u32 }

${source === "slab" ? SLOT_PLACES : ""}

fn find(i: u32, head: u32) -> Found {
  let kept = ${paged ? "lengths[head]" : "0u"};
  ${
    source === "slab"
      ? `let page = slot_page(head, i);
  let here = i < min(kept, params.table_capacity) && page / params.pages_per_slab == params.slab;
  let place = slot_place(page, i)${ofValues ? " + params.page_slots" : ""};
  return Found(here, i, ${begin("place")});`
      : `let here = i < params.fresh && kept + i < params.table_capacity;
  return Found(here, kept + i, ${begin("head * params.capacity + params.start + i")});`
  }
}`;
}
