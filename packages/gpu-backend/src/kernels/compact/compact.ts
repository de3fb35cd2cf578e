import { kvRowBytes, type CompactSpec } from "@winnow/core-tensor";

import type { GpuCapabilities } from "../../device/capabilities";
import type { GpuLimits } from "../../device/limits";
import { scratch, whole } from "../../dispatch/binding";
import type { Dispatch, Plan } from "../../dispatch/dispatch";
import { boundRows, tensorOperand } from "../../dispatch/operands";
import { slabsOf, storageOf, type Slab } from "../../dispatch/slabs";
import { slabBindings, slabGroup, slabNumbers } from "../../wgsl/slab-group";
import { vectorOf } from "../../wgsl/vector";
import { keptLists, listKept, type KeptLists } from "../move-slots/kept-lists";
import { moveColumns } from "../move-slots/move-columns";
import { PAGES_BUFFERS, PAGES_LANES, compactPagesKernel } from "./compact-pages.wgsl";
import { COMPACT_LANES, COMPACT_PARAMS, compactSlabKernel } from "./compact-slab.wgsl";
import { STAGE_THREADS, compactStageKernel } from "./compact-stage.wgsl";

/** Memory that slots on their way to another slab may take; what does not fit moves in further passes. */
const STAGED_BYTES = 32 * 2 ** 20;

/** Move the kept slots of each head down over the dropped ones, in order, with their columns: the table's, else their own. */
export function planCompact(spec: CompactSpec, { limits }: GpuCapabilities): Plan {
  const { heads, paged, slots } = spec;
  const room = Math.max(0, ...paged.bounds.slice(0, heads.kvHeads));
  if (room === 0) return [];
  const slabs = slabsOf("slab", paged.slabs);
  if (slots.kind === "pages" && slabs.length + PAGES_BUFFERS <= limits.maxStorageBuffersPerShaderStage) {
    const counts = slots.counts.slice(spec.firstRow, spec.firstRow + heads.kvHeads);
    return [moveAll(spec, slabs, Uint32Array.from(counts))];
  }
  const lists = keptLists(heads, room);
  return [
    listKept(spec, lists),
    ...moveSlots(spec, slabs, lists, limits),
    ...moveColumns(spec, lists, slots.kind === "table" ? slots : null, true),
  ];
}

/** Slots move as words, whatever they mean. */
function wordsOfHead({ heads: { headDim } }: CompactSpec, slabs: readonly Slab[]): number {
  return kvRowBytes(storageOf(slabs, headDim), headDim) / 4;
}

/** Everything at once: slabs can be bound together, and nothing is written that was not there before. */
function moveAll(spec: CompactSpec, slabs: readonly Slab[], counts: Uint32Array): Dispatch {
  const { heads, paged, keep, firstRow } = spec;
  const words = wordsOfHead(spec, slabs);
  const vector = vectorOf(words);
  const units = words / vector.width;
  const group = slabGroup(slabs.length);
  const { columns } = paged;
  const kernel = compactPagesKernel({ vector, slabs: group, columns: columns !== null });
  return {
    kernel,
    params: kernel.params.pack({
      words: keep.shape[1] ?? 0,
      first_row: firstRow,
      units,
      lanes: 2 * units,
      page_slots: paged.pageSlots,
      pages_per_slab: paged.pagesPerSlab,
      table_width: paged.table.shape[1] ?? 0,
      column_table_width: paged.columnTable.tensor.shape[2] ?? 0,
      ...slabNumbers(group, slabs),
    }),
    bindings: {
      keep: whole(tensorOperand("keep", keep, ["u32"])),
      lengths: whole(tensorOperand("lengths", paged.lengths, ["u32"])),
      page_table: whole(tensorOperand("page table", paged.table, ["u32"])),
      ...(columns === null
        ? {}
        : {
            column_table: boundRows("column table", paged.columnTable, ["u32"]),
            columns: whole(tensorOperand("columns", columns, ["f32"])),
          }),
      ...slabBindings(group, slabs),
    },
    data: counts,
    grid: [Math.ceil((2 * units) / PAGES_LANES) + 1, heads.kvHeads, 1],
  };
}

function moveSlots(spec: CompactSpec, slabs: readonly Slab[], lists: KeptLists, limits: GpuLimits): Dispatch[] {
  const { heads, paged } = spec;
  const { kvHeads } = heads;
  const pageTable = whole(tensorOperand("page table", paged.table, ["u32"]));
  const words = wordsOfHead(spec, slabs);
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
