import type { KvType } from "@winnow/core-tensor";

import type { StorageVariable } from "../../dispatch/kernel";
import { kvElements, type KvElements } from "../../wgsl/kv";
import { SLOT_PLACES } from "../../wgsl/paged";

/** Where keys and values lie: in one slab of a paged cache, or in the scratch. */
export type KeySource = "slab" | "scratch";

/** Parameters that `find` needs. */
export const KEY_PARAMS_FIELDS = {
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
} as const;

export interface KeyVariant {
  readonly source: KeySource;
  /** Of the slab or the scratch. */
  readonly storage: KvType;
  /** Whether there are kept slots, which come before the scratch's rows. */
  readonly paged: boolean;
}

function nameOf({ source }: KeyVariant, ofValues: boolean): string {
  if (source === "slab") return "slab";
  return ofValues ? "values" : "keys";
}

export function keyReader(variant: KeyVariant, ofValues: boolean): KvElements {
  return kvElements(nameOf(variant, ofValues), variant.storage);
}

export function keyStorage(variant: KeyVariant, ofValues: boolean): Record<string, StorageVariable> {
  const { source, paged } = variant;
  return {
    ...(paged ? { lengths: { access: "read", type: "array<u32>" } as const } : {}),
    ...(source === "slab" ? { page_table: { access: "read", type: "array<u32>" } as const } : {}),
    [nameOf(variant, ofValues)]: { access: "read", type: keyReader(variant, ofValues).type },
  };
}

/** `find(i, head)`: the i-th place of the source, which slot it is, and where its key (or value) begins. */
export function keyPlacesWgsl(variant: KeyVariant, ofValues: boolean): string {
  const { source, paged } = variant;
  const { declarations, begin } = keyReader(variant, ofValues);
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
