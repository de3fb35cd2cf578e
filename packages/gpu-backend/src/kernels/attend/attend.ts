import { checkAttend, type AttendGroup, type AttendSpec } from "@winnow/core-tensor";

import type { GpuTensor } from "../../buffers/gpu-tensor";
import type { GpuCapabilities } from "../../device/capabilities";
import type { GpuLimits } from "../../device/limits";
import { scratch, whole } from "../../dispatch/binding";
import type { Dispatch, Plan } from "../../dispatch/dispatch";
import { flatGrid } from "../../dispatch/grid";
import { rowOperand, tensorOperand, type RowOperand } from "../../dispatch/operands";
import { planAccumulate, type SplitScores } from "./attend-accumulate";
import { sightParams, type GroupRows } from "./group-rows";
import { windowOf } from "./group-window";
import { MERGE_PARAMS, attendMergeKernel } from "./attend-merge.wgsl";
import { planRecord } from "./attend-record";
import type { AttendRecords } from "./attend-records";
import { sourcesOf, type AttendSources, type PagedSource, type ScratchSource } from "./attend-sources";
import { SPLIT_PARAMS, attendSplitKernel, splitKeys, splitSlices } from "./attend-split.wgsl";
import { planStaged } from "./attend-staged";
import { planPositions } from "./slot-positions";
import { TILE_PARAMS, TILE_VECTORS, attendTileKernel } from "./attend-tile.wgsl";
import { tileKeys } from "./tile-keys";

/**
 * Softmax attention: every source of keys is a dispatch that leaves records of what it saw, and a merge puts the records of
 * a row together. A few rows are split over the keys, slab by slab; for many rows the kept slots are one source, as the
 * scratch is.
 */
export function planAttend(spec: AttendSpec, { limits }: GpuCapabilities): Plan {
  checkAttend(spec);
  const qkv = rowOperand("qkv", spec.qkv, ["f32"]);
  const out = rowOperand("out", spec.out, ["f32"]);
  return spec.groups
    .flatMap((group) => splittable(spec, group, limits))
    .flatMap((group) => (group.count === 0 ? [] : planGroup(spec, group, qkv, out, limits)));
}

/** Rows that are given the same whether they come together or one at a time: those of a step, as its products take them. */
const ROWS_ALIKE = 8;

/**
 * A few rows that were appended to pages, in groups that the split kernel has room for. Staged, as many rows are, their sums
 * would be rounded in another order than that of a row by itself, and each slot be copied once more.
 */
function splittable(spec: AttendSpec, group: AttendGroup, limits: GpuLimits): AttendGroup[] {
  const { queryHeads, kvHeads, headDim } = spec.heads;
  const { paged, count, start, position } = group;
  if (paged?.appended !== count || count > ROWS_ALIKE) return [group];
  // Weights of several rows are added up all at once.
  if (spec.accumulate === true || spec.record !== undefined) return [group];
  const vectors = mostSplitVectors(headDim, splitKeys(paged.kv.pageSlots), limits);
  const step = Math.floor((vectors * kvHeads) / queryHeads);
  // A row by itself is staged as well, and sums are then rounded alike however many there are.
  if (step === 0 || step >= count) return [group];
  return Array.from({ length: Math.ceil(count / step) }, (_, i) => {
    const first = i * step;
    return {
      start: start + first,
      count: Math.min(step, count - first),
      paged: { ...paged, appended: count - first },
      ...(position === undefined ? {} : { position: position + first }),
    };
  });
}

function planGroup(
  spec: AttendSpec,
  group: AttendGroup,
  qkv: RowOperand,
  out: RowOperand,
  limits: GpuLimits,
): Dispatch[] {
  const { queryHeads, kvHeads } = spec.heads;
  const sources = sourcesOf(spec.heads, group);
  const rows: GroupRows = {
    spec,
    count: group.count,
    qkv: qkv.tensor,
    qkvRow: spec.qkv.start + group.start,
    number: (spec.record?.firstRow ?? 0) + group.start,
    logSums: scratch("attend.logSums", group.count * queryHeads * 4),
    window: windowOf(spec, group),
    positions: scratch("attend.positions", (group.count + kvHeads * (sources.paged?.longest ?? 0)) * 4),
  };
  const records = layRecords(rows, sources, limits);
  const accumulates = spec.accumulate === true && sources.paged !== null && sources.paged.kv.columns !== null;
  const scores = accumulates && records.tiles !== null ? splitScores(rows, records.tiles, sources.paged) : null;
  const plan = [
    ...(sources.paged === null ? [] : positionsOf(rows, sources.paged)),
    ...(sources.paged === null ? [] : ofPages(rows, sources.paged, records, scores, limits)),
    ...sources.scratch.map((source, pass) => ofScratch(rows, source, pass, records, limits)),
    merge(rows, sources, records, out.tensor, spec.out.start + group.start),
  ];
  if (spec.record !== undefined) plan.push(...planRecord(rows, spec.record, sources, limits));
  if (accumulates) plan.push(...planAccumulate(rows, sources.paged, scores, limits));
  return plan;
}

/** Positions, where a window or the bands of a table need them. */
function positionsOf(rows: GroupRows, paged: PagedSource): Dispatch[] {
  const { record } = rows.spec;
  const placed =
    record !== undefined &&
    (record.tables.some(({ bands }) => bands.length > 0) || record.columns.some(({ reduce }) => reduce === "count"));
  if (!placed && rows.window === null) return [];
  const rowPositions = placed ? whole(tensorOperand("positions", record.positions, ["u32"])) : null;
  return planPositions(rows, paged, rowPositions, rows.positions);
}

/** Where a split leaves its scores, so that nobody has to compute them again. */
function splitScores({ spec, count }: GroupRows, tiles: Uint32Array, { kv }: PagedSource): SplitScores {
  const vectors = (count * spec.heads.queryHeads) / spec.heads.kvHeads;
  return { binding: scratch("attend.scores", (tiles.at(-1) ?? 0) * splitKeys(kv.pageSlots) * vectors * 4), tiles };
}

function layRecords(
  { spec, count }: GroupRows,
  { paged, scratch: rest }: AttendSources,
  limits: GpuLimits,
): AttendRecords {
  const { queryHeads, kvHeads, headDim } = spec.heads;
  const ofRows = count * queryHeads;
  const split = paged !== null && ofRows / kvHeads <= mostSplitVectors(headDim, splitKeys(paged.kv.pageSlots), limits);
  const tiles = split
    ? Uint32Array.from([
        0,
        ...runningSums(paged.bounds.map((slots) => Math.ceil(slots / splitKeys(paged.kv.pageSlots)))),
      ])
    : null;
  const perSlab = tiles === null ? ofRows : ((tiles.at(-1) ?? 0) * ofRows) / kvHeads;
  const slabPasses = paged === null ? 0 : split ? paged.slabs.length : 1;
  const first = slabPasses * perSlab;
  const total = Math.max(1, first + rest.length * ofRows);
  return {
    tiles,
    slabPasses,
    perSlab,
    scratch: first,
    outputs: scratch("attend.outputs", total * headDim * 4),
    stats: scratch("attend.stats", total * 8),
  };
}

function runningSums(counts: readonly number[]): number[] {
  let sum = 0;
  return counts.map((count) => (sum += count));
}

/** Query vectors that the split kernel has room for in a workgroup's memory: a power of two, for few kernels. */
function mostSplitVectors(headDim: number, keys: number, { maxComputeWorkgroupStorageSize }: GpuLimits): number {
  const ofKeys = 2 * keys * 4;
  const perVector = headDim * 4 + 2 * keys * 4 + splitSlices(headDim, keys) * headDim * 4 + 16;
  const room = Math.floor((maxComputeWorkgroupStorageSize - ofKeys) / perVector);
  return Math.min(8, 2 ** Math.floor(Math.log2(room)));
}

/** Attention over kept slots: by slab where keys are split, else over all of them. */
function ofPages(
  rows: GroupRows,
  paged: PagedSource,
  { tiles, ...records }: AttendRecords,
  scores: SplitScores | null,
  limits: GpuLimits,
): Dispatch[] {
  if (tiles === null) return planStaged(rows, paged, { tiles, ...records }, limits);
  const { spec, count, qkv, qkvRow } = rows;
  const { queryHeads, kvHeads, headDim } = spec.heads;
  const vectors = (count * queryHeads) / kvHeads;
  return paged.slabs.map((slab, pass) => ({
    kernel: attendSplitKernel({
      headDim,
      storage: paged.storage,
      keys: splitKeys(paged.kv.pageSlots),
      vectors: 2 ** Math.ceil(Math.log2(vectors)),
      scores: scores !== null,
      capped: spec.softCap !== undefined,
      windowed: rows.window !== null,
    }),
    params: SPLIT_PARAMS.pack({
      query_heads: queryHeads,
      kv_heads: kvHeads,
      rows: count,
      qkv_row: qkvRow,
      scale: spec.scale,
      records: pass * records.perSlab,
      slab: slab.number,
      page_slots: paged.kv.pageSlots,
      pages_per_slab: paged.kv.pagesPerSlab,
      table_width: paged.tableWidth,
      appended: paged.appended,
      ...sightParams(rows, paged.longest),
    }),
    bindings: {
      qkv: whole(qkv),
      outputs: records.outputs,
      stats: records.stats,
      page_table: whole(paged.table),
      lengths: whole(paged.lengths),
      slab: whole(slab.tensor),
      ...(scores === null ? {} : { kept_scores: scores.binding }),
      ...(rows.window === null ? {} : { positions: rows.positions }),
    },
    data: tiles,
    grid: flatGrid(tiles.at(-1) ?? 0, limits),
  }));
}

function ofScratch(
  rows: GroupRows,
  source: ScratchSource,
  pass: number,
  records: AttendRecords,
  limits: GpuLimits,
): Dispatch {
  const { spec, count, qkv, qkvRow } = rows;
  const { queryHeads, kvHeads, headDim } = spec.heads;
  return {
    kernel: attendTileKernel({
      headDim,
      source: "scratch",
      storage: source.storage,
      keys: tileKeys(headDim, limits),
      capped: spec.softCap !== undefined,
      windowed: rows.window !== null,
    }),
    params: TILE_PARAMS.pack({
      query_heads: queryHeads,
      kv_heads: kvHeads,
      rows: count,
      qkv_row: qkvRow,
      scale: spec.scale,
      records: records.scratch + pass * count * queryHeads,
      first_head: 0,
      appended: 0,
      context_start: source.contextStart,
      context_count: source.contextCount,
      own_start: source.ownStart,
      own_rows: source.ownRows,
      capacity: source.capacity,
      ...sightParams(rows, 0),
    }),
    bindings: {
      qkv: whole(qkv),
      outputs: records.outputs,
      stats: records.stats,
      keys: whole(source.keys),
      values: whole(source.values),
    },
    grid: [Math.ceil((count * queryHeads) / kvHeads / TILE_VECTORS), kvHeads, 1],
  };
}

function merge(
  rows: GroupRows,
  sources: AttendSources,
  records: AttendRecords,
  out: GpuTensor,
  outRow: number,
): Dispatch {
  const { queryHeads, kvHeads, headDim } = rows.spec.heads;
  return {
    kernel: attendMergeKernel({ headDim, split: records.tiles !== null }),
    params: MERGE_PARAMS.pack({
      query_heads: queryHeads,
      kv_heads: kvHeads,
      rows: rows.count,
      out_row: outRow,
      slab_passes: records.slabPasses,
      slab_records: records.perSlab,
      scratch_records: records.scratch,
      scratch_passes: sources.scratch.length,
    }),
    bindings: { outputs: records.outputs, stats: records.stats, out: whole(out), log_sums: rows.logSums },
    ...(records.tiles === null ? {} : { data: records.tiles }),
    grid: [queryHeads, rows.count, 1],
  };
}
