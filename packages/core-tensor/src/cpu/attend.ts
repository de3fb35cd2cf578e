import type { AttendGroup, AttendSpec } from "../backend";
import { expectShape } from "../shape";
import { AttendRecorder } from "./attend-recorder";
import { f32Of, f32Rows, widthOf, type Poll } from "./cpu-tensor";
import { dots } from "./dots";
import { PagedReader } from "./paged";
import { weightedSum } from "./weighted-sum";

/** Query rows attended together: enough to use a key several times while it is near. */
const TILE_ROWS = 8;

/** Keys that lie one behind the other, and from which column of the scores on they count. */
interface KeyRun {
  readonly keys: Float32Array;
  readonly k: number;
  readonly values: Float32Array;
  readonly v: number;
  readonly count: number;
  readonly column: number;
}

/** Work memory, grown to the longest row seen. */
let weights = new Float64Array(0);
let queries = new Float32Array(0);
let sums = new Float64Array(0);

/**
 * Softmax attention in two passes over each row: all scores and their greatest, then exponentials, their sum and the
 * weighted values, each in the order of the columns and in float64. A row's result depends on its keys and their
 * order alone, not on the rows beside it or on whether a key lies in a page or in scratch.
 */
export function attend(spec: AttendSpec, poll: Poll): void {
  const { heads, qkv, out } = spec;
  const { queryHeads, kvHeads, headDim } = heads;
  expectShape("attend", "qkv", qkv.tensor.shape, [null, (queryHeads + 2 * kvHeads) * headDim]);
  expectShape("attend", "out", out.tensor.shape, [null, queryHeads * headDim]);
  const source = f32Rows("attend", "qkv", qkv);
  const target = f32Rows("attend", "out", out);
  const perGroup = queryHeads / kvHeads;
  for (const group of spec.groups) {
    const paged = group.paged === undefined ? null : new PagedReader(group.paged.kv, headDim);
    for (let head = 0; head < kvHeads; head++) {
      const kept = paged?.lengths[head] ?? 0;
      const recorder = spec.record === undefined ? null : new AttendRecorder(spec.record, heads, head, kept, paged);
      const runs = keyRuns(group, paged, head, headDim);
      const visible = visibleToFirst(group, kept);
      for (let row = 0; row < group.count; row += TILE_ROWS) {
        poll();
        const rowCount = Math.min(TILE_ROWS, group.count - row);
        const tile = { head, perGroup, headDim, row: group.start + row, rowCount, visible: visible + row };
        attendTile(tile, runs, spec.scale, source, widthOf(qkv.tensor), target, queryHeads);
        const stride = tile.visible + rowCount - 1;
        recorder?.add(weights, stride, tile.row, rowCount, tile.visible);
        if (spec.accumulate === true && paged !== null) accumulate(paged, tile, stride);
      }
    }
  }
}

interface Tile {
  readonly head: number;
  /** Query heads that share the KV head. */
  readonly perGroup: number;
  readonly headDim: number;
  readonly row: number;
  readonly rowCount: number;
  /** Columns that the first row sees; each further row sees one more. */
  readonly visible: number;
}

/** Leave the tile's attention weights in `weights` [rows · perGroup, columns], and its outputs in `target`. */
function attendTile(
  tile: Tile,
  runs: readonly KeyRun[],
  scale: number,
  source: Float32Array,
  width: number,
  target: Float32Array,
  queryHeads: number,
): void {
  const { head, perGroup, headDim, rowCount } = tile;
  const columns = tile.visible + rowCount - 1;
  const vectors = rowCount * perGroup;
  reserve(vectors, columns, headDim);
  for (let i = 0; i < vectors; i++) {
    const row = tile.row + Math.floor(i / perGroup);
    const start = row * width + (head * perGroup + (i % perGroup)) * headDim;
    queries.set(source.subarray(start, start + headDim), i * headDim);
  }
  for (const run of runs) {
    const count = Math.min(run.count, columns - run.column);
    if (count <= 0) break;
    dots(queries, 0, headDim, vectors, run.keys, run.k, headDim, count, headDim, weights, run.column, columns);
  }
  for (let i = 0; i < vectors; i++) {
    softmax(weights, i * columns, tile.visible + Math.floor(i / perGroup), columns, scale);
  }
  sums.fill(0, 0, vectors * headDim);
  for (const run of runs) {
    const count = Math.min(run.count, columns - run.column);
    if (count <= 0) break;
    weightedSum(weights, run.column, columns, vectors, run.values, run.v, headDim, count, sums);
  }
  for (let i = 0; i < vectors; i++) {
    const row = tile.row + Math.floor(i / perGroup);
    const start = (row * queryHeads + head * perGroup + (i % perGroup)) * headDim;
    for (let d = 0; d < headDim; d++) target[start + d] = sums[i * headDim + d] ?? 0;
  }
}

function reserve(vectors: number, columns: number, headDim: number): void {
  if (weights.length < vectors * columns) weights = new Float64Array(2 * vectors * columns);
  if (queries.length < vectors * headDim) queries = new Float32Array(vectors * headDim);
  if (sums.length < vectors * headDim) sums = new Float64Array(vectors * headDim);
}

/** Turn the first `visible` scores of a row into weights that sum to 1, and the others into 0. */
function softmax(scores: Float64Array, start: number, visible: number, columns: number, scale: number): void {
  let greatest = -Infinity;
  for (let j = start; j < start + visible; j++) {
    const score = (scores[j] ?? 0) * scale;
    scores[j] = score;
    if (score > greatest) greatest = score;
  }
  let sum = 0;
  for (let j = start; j < start + visible; j++) {
    const weight = Math.exp((scores[j] ?? 0) - greatest);
    scores[j] = weight;
    sum += weight;
  }
  const inverse = 1 / sum;
  for (let j = start; j < start + visible; j++) scores[j] = (scores[j] ?? 0) * inverse;
  scores.fill(0, start + visible, start + columns);
}

/** Columns that the first row of a group sees. */
function visibleToFirst(group: AttendGroup, kept: number): number {
  const slots = kept - Math.max(0, (group.paged?.appended ?? 0) - 1);
  return slots + (group.context?.count ?? 0) + (group.own === undefined ? 0 : 1);
}

/** All keys that any row of the group sees, in the order paged, context, own. */
function keyRuns(group: AttendGroup, paged: PagedReader | null, head: number, headDim: number): KeyRun[] {
  const runs: KeyRun[] = [];
  let column = 0;
  for (const run of paged?.runs(head) ?? []) {
    runs.push({ keys: run.slab, k: run.k, values: run.slab, v: run.v, count: run.count, column });
    column += run.count;
  }
  const pieces = [
    ...(group.context === undefined ? [] : [group.context]),
    ...(group.own === undefined ? [] : [{ ...group.own, count: group.count }]),
  ];
  for (const { scratch, start, count } of pieces) {
    if (count === 0) continue;
    const at = (head * (scratch.k.shape[1] ?? 0) + start) * headDim;
    runs.push({ keys: f32Of(scratch.k), k: at, values: f32Of(scratch.v), v: at, count, column });
    column += count;
  }
  return runs;
}

/** Add a tile's weights to the columns that the head stores: sums, greatest, and those of the newest row. */
function accumulate(paged: PagedReader, tile: Tile, columns: number): void {
  const { head, perGroup, rowCount } = tile;
  const slots = paged.lengths[head] ?? 0;
  const has = {
    mass: paged.hasColumn(head, "mass"),
    maxWeight: paged.hasColumn(head, "maxWeight"),
    lastMass: paged.hasColumn(head, "lastMass"),
  };
  if (!has.mass && !has.maxWeight && !has.lastMass) return;
  for (let slot = 0; slot < slots; slot++) {
    let sum = 0;
    let greatest = 0;
    let last = 0;
    for (let i = 0; i < rowCount * perGroup; i++) {
      const weight = weights[i * columns + slot] ?? 0;
      sum += weight;
      greatest = Math.max(greatest, weight);
      if (i >= (rowCount - 1) * perGroup) last += weight;
    }
    if (has.mass) {
      const { slab, at } = paged.column(head, "mass", slot);
      slab[at] = (slab[at] ?? 0) + sum;
    }
    if (has.maxWeight) {
      const { slab, at } = paged.column(head, "maxWeight", slot);
      slab[at] = Math.max(slab[at] ?? 0, greatest);
    }
    if (has.lastMass) {
      const { slab, at } = paged.column(head, "lastMass", slot);
      slab[at] = last;
    }
  }
}
