import { checkAttend, type AttendGroup, type AttendSpec } from "@winnow/core-tensor";

import type { GpuTensor } from "../../buffers/gpu-tensor";
import type { GpuCapabilities } from "../../device/capabilities";
import type { GpuLimits } from "../../device/limits";
import { scratch, whole, type Binding } from "../../dispatch/binding";
import type { Dispatch, Plan } from "../../dispatch/dispatch";
import { flatGrid } from "../../dispatch/grid";
import { rowOperand, type RowOperand } from "../../dispatch/operands";
import type { Slab } from "../../dispatch/slabs";
import { planAccumulate, type SplitScores } from "./attend-accumulate";
import type { GroupRows } from "./group-rows";
import { MERGE_PARAMS, attendMergeKernel } from "./attend-merge.wgsl";
import { planRecord } from "./attend-record";
import { sourcesOf, type AttendSources, type PagedSource, type ScratchSource } from "./attend-sources";
import { SPLIT_PARAMS, attendSplitKernel, splitKeys, splitSlices } from "./attend-split.wgsl";
import { TILE_PARAMS, TILE_VECTORS, attendTileKernel } from "./attend-tile.wgsl";

/**
 * Softmax attention: every source of keys (each slab, the scratch) is one dispatch that leaves records of what it saw,
 * and a merge puts the records of a row together. A few rows are split over the keys, many rows are not.
 */
export function planAttend(spec: AttendSpec, { limits }: GpuCapabilities): Plan {
  checkAttend(spec);
  const qkv = rowOperand("qkv", spec.qkv, ["f32"]);
  const out = rowOperand("out", spec.out, ["f32"]);
  return spec.groups.flatMap((group) => (group.count === 0 ? [] : planGroup(spec, group, qkv, out, limits)));
}

function planGroup(
  spec: AttendSpec,
  group: AttendGroup,
  qkv: RowOperand,
  out: RowOperand,
  limits: GpuLimits,
): Dispatch[] {
  const { queryHeads } = spec.heads;
  const rows: GroupRows = {
    spec,
    count: group.count,
    qkv: qkv.tensor,
    qkvRow: spec.qkv.start + group.start,
    number: (spec.record?.firstRow ?? 0) + group.start,
    logSums: scratch("attend.logSums", group.count * queryHeads * 4),
  };
  const sources = sourcesOf(spec.heads, group);
  const records = layRecords(rows, sources, limits);
  const accumulates = spec.accumulate === true && sources.paged !== null && sources.paged.kv.columns !== null;
  const scores = accumulates && records.tiles !== null ? splitScores(rows, records.tiles, sources.paged) : null;
  const plan = [
    ...(sources.paged?.slabs ?? []).map((slab, pass) =>
      ofSlab(rows, sources.paged, slab, pass, records, scores, limits),
    ),
    ...sources.scratch.map((source, pass) => ofScratch(rows, source, pass, records, limits)),
    merge(rows, sources, records, out.tensor, spec.out.start + group.start),
  ].filter((dispatch) => dispatch !== null);
  if (spec.record !== undefined) plan.push(...planRecord(rows, spec.record, sources, limits));
  if (accumulates) plan.push(...planAccumulate(rows, sources.paged, scores, limits));
  return plan;
}

/** Where a split leaves its scores, so that nobody has to compute them again. */
function splitScores({ spec, count }: GroupRows, tiles: Uint32Array, { kv }: PagedSource): SplitScores {
  const vectors = (count * spec.heads.queryHeads) / spec.heads.kvHeads;
  return { binding: scratch("attend.scores", (tiles.at(-1) ?? 0) * splitKeys(kv.pageSlots) * vectors * 4), tiles };
}

/** Where the passes leave their records. */
interface Records {
  /** Of head h: the tiles of the heads before it; null where rows and not keys are split. */
  readonly tiles: Uint32Array | null;
  /** Records of each slab. */
  readonly perSlab: number;
  /** Number of the scratch's first. */
  readonly scratch: number;
  readonly outputs: Binding;
  readonly stats: Binding;
}

function layRecords({ spec, count }: GroupRows, { paged, scratch: rest }: AttendSources, limits: GpuLimits): Records {
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
  const first = (paged?.slabs.length ?? 0) * perSlab;
  const total = Math.max(1, first + rest.length * ofRows);
  return {
    tiles,
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

/** Keys that fit in a workgroup's memory with their values, up to 32. */
function tileKeys(headDim: number, { maxComputeWorkgroupStorageSize }: GpuLimits): number {
  return Math.max(1, Math.min(32, Math.floor((maxComputeWorkgroupStorageSize - 256) / (2 * headDim * 4))));
}

function ofSlab(
  rows: GroupRows,
  paged: PagedSource | null,
  slab: Slab,
  pass: number,
  records: Records,
  scores: SplitScores | null,
  limits: GpuLimits,
): Dispatch | null {
  if (paged === null) return null;
  const { spec, count, qkv, qkvRow } = rows;
  const { queryHeads, kvHeads, headDim } = spec.heads;
  const vectors = (count * queryHeads) / kvHeads;
  const params = {
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
  };
  const bindings = {
    qkv: whole(qkv),
    outputs: records.outputs,
    stats: records.stats,
    page_table: whole(paged.table),
    lengths: whole(paged.lengths),
    slab: whole(slab.tensor),
  };
  if (records.tiles === null) {
    const none = { context_start: 0, context_count: 0, own_start: 0, own_rows: 0, capacity: 0 };
    return {
      kernel: attendTileKernel({ headDim, source: "slab", storage: paged.storage, keys: tileKeys(headDim, limits) }),
      params: TILE_PARAMS.pack({ ...params, ...none }),
      bindings,
      grid: [Math.ceil(vectors / TILE_VECTORS), kvHeads, 1],
    };
  }
  return {
    kernel: attendSplitKernel({
      headDim,
      storage: paged.storage,
      keys: splitKeys(paged.kv.pageSlots),
      vectors: 2 ** Math.ceil(Math.log2(vectors)),
      scores: scores !== null,
    }),
    params: SPLIT_PARAMS.pack(params),
    bindings: scores === null ? bindings : { ...bindings, kept_scores: scores.binding },
    data: records.tiles,
    grid: flatGrid(records.tiles.at(-1) ?? 0, limits),
  };
}

function ofScratch(
  { spec, count, qkv, qkvRow }: GroupRows,
  source: ScratchSource,
  pass: number,
  records: Records,
  limits: GpuLimits,
): Dispatch {
  const { queryHeads, kvHeads, headDim } = spec.heads;
  return {
    kernel: attendTileKernel({ headDim, source: "scratch", storage: source.storage, keys: tileKeys(headDim, limits) }),
    params: TILE_PARAMS.pack({
      query_heads: queryHeads,
      kv_heads: kvHeads,
      rows: count,
      qkv_row: qkvRow,
      scale: spec.scale,
      records: records.scratch + pass * count * queryHeads,
      slab: 0,
      page_slots: 1,
      pages_per_slab: 1,
      table_width: 0,
      appended: 0,
      context_start: source.contextStart,
      context_count: source.contextCount,
      own_start: source.ownStart,
      own_rows: source.ownRows,
      capacity: source.capacity,
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

function merge(rows: GroupRows, sources: AttendSources, records: Records, out: GpuTensor, outRow: number): Dispatch {
  const { queryHeads, kvHeads, headDim } = rows.spec.heads;
  return {
    kernel: attendMergeKernel({ headDim, split: records.tiles !== null }),
    params: MERGE_PARAMS.pack({
      query_heads: queryHeads,
      kv_heads: kvHeads,
      rows: rows.count,
      out_row: outRow,
      slab_passes: sources.paged?.slabs.length ?? 0,
      slab_records: records.perSlab,
      scratch_records: records.scratch,
      scratch_passes: sources.scratch.length,
    }),
    bindings: { outputs: records.outputs, stats: records.stats, out: whole(out), log_sums: rows.logSums },
    ...(records.tiles === null ? {} : { data: records.tiles }),
    grid: [queryHeads, rows.count, 1],
  };
}
