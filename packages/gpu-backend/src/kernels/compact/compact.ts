import type { CompactSpec } from "@winnow/core-tensor";

import type { GpuCapabilities } from "../../device/capabilities";
import type { GpuLimits } from "../../device/limits";
import { scratch, whole } from "../../dispatch/binding";
import type { Dispatch, Plan } from "../../dispatch/dispatch";
import { tensorOperand } from "../../dispatch/operands";
import { slabsOf, storageOf } from "../../dispatch/slabs";
import { vectorOf } from "../../wgsl/vector";
import { keptLists, listKept, type KeptLists } from "../move-slots/kept-lists";
import { moveColumns } from "../move-slots/move-columns";
import { COMPACT_LANES, COMPACT_PARAMS, compactSlabKernel } from "./compact-slab.wgsl";
import { STAGE_THREADS, compactStageKernel } from "./compact-stage.wgsl";

/** Memory that slots on their way to another slab may take; what does not fit moves in further passes. */
const STAGED_BYTES = 32 * 2 ** 20;

/** Move the kept slots of each head down over the dropped ones, in order, with their columns: the table's, else their own. */
export function planCompact(spec: CompactSpec, { limits }: GpuCapabilities): Plan {
  const room = Math.max(0, ...spec.paged.bounds.slice(0, spec.heads.kvHeads));
  if (room === 0) return [];
  const lists = keptLists(spec.heads, room);
  return [listKept(spec, "kept", lists), ...moveSlots(spec, lists, limits), ...moveColumns(spec, lists, true)];
}

function moveSlots({ heads, paged }: CompactSpec, lists: KeptLists, limits: GpuLimits): Dispatch[] {
  const { kvHeads, headDim } = heads;
  const pageTable = whole(tensorOperand("page table", paged.table, ["u32"]));
  const slabs = slabsOf("slab", paged.slabs);
  // Slots move as words, whatever they mean.
  const words = storageOf(slabs) === "f16" ? headDim / 2 : headDim;
  const vector = vectorOf(words);
  const units = words / vector.width;
  const bytesOfLane = kvHeads * lists.room * vector.width * 4;
  const room = Math.min(STAGED_BYTES, limits.maxStorageBufferBindingSize);
  // Within one slab nothing is staged.
  const atOnce = slabs.length === 1 ? 2 * units : Math.min(2 * units, Math.max(1, Math.floor(room / bytesOfLane)));
  const plan: Dispatch[] = [];
  for (let firstLane = 0; firstLane < 2 * units; firstLane += atOnce) {
    const lanes = Math.min(atOnce, 2 * units - firstLane);
    const staged = scratch("compact.staged", lanes * bytesOfLane);
    const pass = (slab: number): Pick<Dispatch, "params"> => ({
      params: COMPACT_PARAMS.pack({
        room: lists.room,
        units,
        first_lane: firstLane,
        lanes,
        slab,
        page_slots: paged.pageSlots,
        pages_per_slab: paged.pagesPerSlab,
        table_width: paged.table.shape[1] ?? 0,
      }),
    });
    const stage = (direction: "out" | "in"): Dispatch[] =>
      slabs.map(({ number, tensor }) => ({
        ...pass(number),
        kernel: compactStageKernel({ vector, direction }),
        bindings: { lists: lists.binding, page_table: pageTable, slab: whole(tensor), staged },
        grid: [
          Math.min(limits.maxComputeWorkgroupsPerDimension, Math.ceil((lists.room * lanes) / STAGE_THREADS)),
          kvHeads,
          1,
        ],
      }));
    const within = slabs.map(({ number, tensor }): Dispatch => ({
      ...pass(number),
      kernel: compactSlabKernel(vector),
      bindings: { lists: lists.binding, page_table: pageTable, slab: whole(tensor) },
      grid: [Math.ceil(lanes / COMPACT_LANES), kvHeads, 1],
    }));
    plan.push(...(slabs.length === 1 ? within : [...stage("out"), ...within, ...stage("in")]));
  }
  return plan;
}
