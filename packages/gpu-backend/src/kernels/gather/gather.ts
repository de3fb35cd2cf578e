import { isQuantisedKv, kvRow, type GatherSpec } from "@winnow/core-tensor";

import type { GpuCapabilities } from "../../device/capabilities";
import { whole } from "../../dispatch/binding";
import type { Dispatch, Plan } from "../../dispatch/dispatch";
import { tensorOperand } from "../../dispatch/operands";
import { slabsOf, storageOf } from "../../dispatch/slabs";
import { QUANTISE_ROWS } from "../../wgsl/quantised-kv";
import { SCRATCH_TYPES, scratchTypeOf } from "../../wgsl/kv";
import { vectorOf } from "../../wgsl/vector";
import { keptLists, listKept } from "../move-slots/kept-lists";
import { moveColumns } from "../move-slots/move-columns";
import { gatherRowsKernel } from "./gather-rows.wgsl";
import { GATHER_PARAMS, GATHER_THREADS, gatherKernel } from "./gather.wgsl";

/** Copy the kept scratch rows of each head behind its kept slots, with the table's columns; those it lacks are 0. */
export function planGather(spec: GatherSpec, { limits }: GpuCapabilities): Plan {
  const { heads, scratch, start, count, paged, slots } = spec;
  const { kvHeads, headDim } = heads;
  const keys = tensorOperand("scratch keys", scratch.k, SCRATCH_TYPES);
  const values = tensorOperand("scratch values", scratch.v, [keys.dtype]);
  const scratchType = scratchTypeOf(keys);
  const pageTable = whole(tensorOperand("page table", paged.table, ["u32"]));
  if (count === 0) return [];
  const slabs = slabsOf("slab", paged.slabs);
  const storage = storageOf(slabs, headDim);
  kvRow(storage, headDim);
  const lists = keptLists(heads, count);
  const vector = vectorOf(headDim);
  const units = headDim / vector.width;
  const needed = isQuantisedKv(storage) ? count / QUANTISE_ROWS : (count * units) / GATHER_THREADS;
  const groups = Math.min(limits.maxComputeWorkgroupsPerDimension, Math.ceil(needed));
  return [
    listKept(spec, lists, slots.counts),
    ...slabs.map(({ number, tensor }): Dispatch => ({
      kernel: isQuantisedKv(storage)
        ? gatherRowsKernel({ scratch: scratchType, storage })
        : gatherKernel({ vector, storage, scratch: scratchType }),
      params: GATHER_PARAMS.pack({
        room: lists.room,
        units,
        capacity: scratch.k.shape[1] ?? 0,
        start,
        slab: number,
        page_slots: paged.pageSlots,
        pages_per_slab: paged.pagesPerSlab,
        table_width: paged.table.shape[1] ?? 0,
      }),
      bindings: {
        lists: lists.binding,
        page_table: pageTable,
        keys: whole(keys),
        values: whole(values),
        slab: whole(tensor),
      },
      grid: [groups, kvHeads, 1],
    })),
    ...moveColumns(spec, lists, slots, false),
  ];
}
