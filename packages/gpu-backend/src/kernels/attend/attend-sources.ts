import type { AttendGroup, HeadShape, KvScratch, KvType, PagedKv } from "@winnow/core-tensor";

import type { GpuTensor } from "../../buffers/gpu-tensor";
import { tensorOperand } from "../../dispatch/operands";
import { slabsOf, storageOf, type Slab } from "../../dispatch/slabs";
import { SCRATCH_TYPES, scratchTypeOf } from "../../wgsl/kv";
import { splitKeys } from "./attend-split.wgsl";

/** The kept slots that a group sees, slab by slab. */
export interface PagedSource {
  readonly kv: PagedKv;
  readonly slabs: readonly Slab[];
  readonly storage: KvType;
  readonly table: GpuTensor;
  readonly lengths: GpuTensor;
  readonly tableWidth: number;
  /** By head: no fewer than its slots; whole tiles, so that the plan stays the same until one is full. */
  readonly bounds: readonly number[];
  readonly longest: number;
  readonly appended: number;
}

/** Rows of the scratch: some that every row of the group sees, then the group's own. */
export interface ScratchSource {
  readonly storage: KvType;
  readonly keys: GpuTensor;
  readonly values: GpuTensor;
  readonly capacity: number;
  readonly contextStart: number;
  readonly contextCount: number;
  readonly ownStart: number;
  /** All rows of the group, or none. */
  readonly ownRows: number;
}

/** Where the keys of a group lie: what is bound together is one source. */
export interface AttendSources {
  readonly paged: PagedSource | null;
  readonly scratch: readonly ScratchSource[];
}

/** @throws WinnowError `backend`, `disposed`, `dtype` */
export function sourcesOf(heads: HeadShape, group: AttendGroup): AttendSources {
  return { paged: pagedOf(heads, group), scratch: scratchOf(group) };
}

function pagedOf({ kvHeads, headDim }: HeadShape, { paged }: AttendGroup): PagedSource | null {
  if (paged === undefined) return null;
  const { kv, appended } = paged;
  const tile = splitKeys(kv.pageSlots);
  const bounds = kv.bounds.slice(0, kvHeads).map((slots) => Math.ceil(slots / tile) * tile);
  const longest = Math.max(0, ...bounds);
  if (longest === 0) return null;
  const slabs = slabsOf("slab", kv.slabs);
  return {
    kv,
    slabs,
    storage: storageOf(slabs, headDim),
    table: tensorOperand("page table", kv.table, ["u32"]),
    lengths: tensorOperand("lengths", kv.lengths, ["u32"]),
    tableWidth: kv.table.shape[1] ?? 0,
    bounds,
    longest,
    appended,
  };
}

function scratchOf({ context, own, count }: AttendGroup): ScratchSource[] {
  const none = { contextStart: 0, contextCount: 0, ownStart: 0, ownRows: 0 };
  const before = context === undefined ? none : { ...none, contextStart: context.start, contextCount: context.count };
  if (own === undefined)
    return context === undefined || context.count === 0 ? [] : [{ ...before, ...placeOf(context) }];
  const rows = { ownStart: own.start, ownRows: count };
  if (context === undefined || context.count === 0 || context.scratch.k === own.scratch.k) {
    return [{ ...before, ...placeOf(own), ...rows }];
  }
  return [
    { ...before, ...placeOf(context) },
    { ...none, ...placeOf(own), ...rows },
  ];
}

function placeOf({
  scratch,
}: {
  readonly scratch: KvScratch;
}): Pick<ScratchSource, "storage" | "keys" | "values" | "capacity"> {
  const keys = tensorOperand("keys", scratch.k, SCRATCH_TYPES);
  return {
    storage: scratchTypeOf(keys),
    keys,
    values: tensorOperand("values", scratch.v, [keys.dtype]),
    capacity: scratch.k.shape[1] ?? 0,
  };
}
