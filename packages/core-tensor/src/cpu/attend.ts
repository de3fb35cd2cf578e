import type { AttendSpec } from "../backend";
import { checkAttend } from "../attend-check";
import { accumulate, addWaiting } from "./attend-accumulate";
import { distances, visibleKeys, type KeyRun } from "./attend-keys";
import { AttendRecorder } from "./attend-recorder";
import { columnsOf, type Tile } from "./attend-tile";
import { f32Rows } from "./cpu-tensor";
import type { Poll } from "./poll";
import { dots } from "./dots";
import { PagedReader } from "./paged";
import { weightedSum } from "./weighted-sum";

/** Query rows attended together: enough to use a key several times while it is near, and a multiple of what `dots` takes. */
const TILE_ROWS = 9;

/** Work memory, grown to the longest row seen. */
let weights = new Float64Array(0);
let queries = new Float32Array(0);
let sums = new Float64Array(0);

/**
 * Softmax attention in two passes over each row: all scores and their greatest, then exponentials, their sum and the
 * weighted values, each in the order of the columns and in float64. A row's result depends on its keys and their
 * order alone, not on the rows beside it or on whether a key lies in a page or in scratch. A row that sees no key
 * gives zeros.
 */
export function attend(spec: AttendSpec, poll: Poll): void {
  const { heads, qkv, out } = spec;
  const { kvHeads, headDim } = heads;
  checkAttend(spec);
  const source = f32Rows("attend", "qkv", qkv);
  const target = f32Rows("attend", "out", out);
  for (const group of spec.groups) {
    const paged = group.paged === undefined ? null : new PagedReader(group.paged.kv, headDim);
    for (let head = 0; head < kvHeads; head++) {
      const kept = paged?.lengths[head] ?? 0;
      const recorder = spec.record === undefined ? null : new AttendRecorder(spec.record, heads, head, kept, paged);
      const { runs, first, growth } = visibleKeys(group, paged, head, headDim);
      const window = spec.window === undefined ? null : { size: spec.window, columns: distances(group, paged, head) };
      if (spec.accumulate === true && paged !== null && group.count > 0) addWaiting(paged, head);
      for (let row = 0; row < group.count; row += TILE_ROWS) {
        const rowCount = Math.min(TILE_ROWS, group.count - row);
        const tile = { heads, head, row: group.start + row, rowCount, visible: first + growth * row, growth };
        attendTile(tile, runs, { spec, window, firstRow: row }, source, target, poll);
        recorder?.add(weights, tile);
        if (spec.accumulate === true && paged !== null) {
          accumulate(paged, weights, tile, row + rowCount === group.count);
        }
      }
    }
  }
}

/** How products become scores. */
interface Scoring {
  readonly spec: Pick<AttendSpec, "scale" | "softCap">;
  /** Columns by their distance from the group's first row. */
  readonly window: { readonly size: number; readonly columns: Int32Array } | null;
  /** The tile's first row, counted from the group's first. */
  readonly firstRow: number;
}

/** Leave the tile's attention weights in `weights` [vectors, columns], and its outputs in `target`. */
function attendTile(
  tile: Tile,
  runs: readonly KeyRun[],
  scoring: Scoring,
  source: Float32Array,
  target: Float32Array,
  poll: Poll,
): void {
  const { queryHeads, kvHeads, headDim } = tile.heads;
  const perGroup = queryHeads / kvHeads;
  const columns = columnsOf(tile);
  const vectors = tile.rowCount * perGroup;
  reserve(vectors, columns, headDim);
  for (let i = 0; i < tile.rowCount; i++) {
    const start = ((tile.row + i) * (queryHeads + 2 * kvHeads) + tile.head * perGroup) * headDim;
    queries.set(source.subarray(start, start + perGroup * headDim), i * perGroup * headDim);
  }
  for (const run of runs) {
    const count = Math.min(run.count, columns - run.column);
    if (count <= 0) break;
    poll();
    dots(queries, 0, headDim, vectors, run.keys, run.k, headDim, count, headDim, weights, run.column, columns);
  }
  for (let i = 0; i < vectors; i++) {
    const row = Math.floor(i / perGroup);
    const visible = tile.visible + tile.growth * row;
    score(weights, i * columns, visible, scoring, row);
    softmax(weights, i * columns, visible, columns);
  }
  sums.fill(0, 0, vectors * headDim);
  addValues(runs, 0, tile.visible, 0, vectors, columns, headDim, poll);
  // What only some rows see must not even be multiplied by 0 in the others: it may not be a number.
  for (let i = 1; i < tile.rowCount && columns > tile.visible; i++) {
    addValues(runs, tile.visible, tile.visible + i, i * perGroup, perGroup, columns, headDim, poll);
  }
  for (let i = 0; i < tile.rowCount; i++) {
    const start = ((tile.row + i) * queryHeads + tile.head * perGroup) * headDim;
    const from = i * perGroup * headDim;
    for (let d = 0; d < perGroup * headDim; d++) target[start + d] = sums[from + d] ?? 0;
  }
}

/** Add the weighted values of columns `from` .. `to` to the sums of some vectors. */
function addValues(
  runs: readonly KeyRun[],
  from: number,
  to: number,
  vector: number,
  vectors: number,
  columns: number,
  headDim: number,
  poll: Poll,
): void {
  for (const run of runs) {
    const first = Math.max(from, run.column);
    const count = Math.min(to, run.column + run.count) - first;
    if (count <= 0) continue;
    poll();
    const v = run.v + (first - run.column) * headDim;
    weightedSum(
      weights,
      vector * columns + first,
      columns,
      vectors,
      run.values,
      v,
      headDim,
      count,
      sums,
      vector * headDim,
    );
  }
}

function reserve(vectors: number, columns: number, headDim: number): void {
  if (weights.length < vectors * columns) weights = new Float64Array(2 * vectors * columns);
  if (queries.length < vectors * headDim) queries = new Float32Array(vectors * headDim);
  if (sums.length < vectors * headDim) sums = new Float64Array(vectors * headDim);
}

/** Turn the first `visible` products of a row into scores: the lowest of all where the row does not see the column. */
function score(
  products: Float64Array,
  start: number,
  visible: number,
  { spec: { scale, softCap }, window, firstRow }: Scoring,
  row: number,
): void {
  for (let j = start; j < start + visible; j++) products[j] = (products[j] ?? 0) * scale;
  if (softCap !== undefined) {
    for (let j = start; j < start + visible; j++) products[j] = softCap * Math.tanh((products[j] ?? 0) / softCap);
  }
  if (window === null) return;
  const oldest = firstRow + row - window.size;
  for (let j = 0; j < visible; j++) if ((window.columns[j] ?? 0) <= oldest) products[start + j] = -Infinity;
}

/** Turn the first `visible` scores of a row into weights that sum to 1, or to 0 where none is seen, and the others into 0. */
function softmax(scores: Float64Array, start: number, visible: number, columns: number): void {
  let greatest = -Infinity;
  for (let j = start; j < start + visible; j++) {
    const score = scores[j] ?? 0;
    if (score > greatest) greatest = score;
  }
  let sum = 0;
  for (let j = start; j < start + visible; j++) {
    const weight = scores[j] === -Infinity ? 0 : Math.exp((scores[j] ?? 0) - greatest);
    scores[j] = weight;
    sum += weight;
  }
  const inverse = sum === 0 ? 0 : 1 / sum;
  for (let j = start; j < start + visible; j++) scores[j] = (scores[j] ?? 0) * inverse;
  scores.fill(0, start + visible, start + columns);
}
