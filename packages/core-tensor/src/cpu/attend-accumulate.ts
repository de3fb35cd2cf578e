import type { StoredColumn } from "../backend";
import { columnsOf, type Tile } from "./attend-tile";
import type { PagedReader } from "./paged";

interface Kind {
  readonly into: StoredColumn;
  readonly waiting: StoredColumn;
  readonly reduce: "sum" | "max";
}

const KINDS: readonly Kind[] = [
  { into: "mass", waiting: "lastMass", reduce: "sum" },
  { into: "maxWeight", waiting: "lastMaxWeight", reduce: "max" },
];

/** Add what waits of the row before to `mass` and `maxWeight`. */
export function addWaiting(paged: PagedReader, head: number): void {
  if (!paged.pending) return;
  for (const { into, waiting, reduce } of KINDS) {
    if (!paged.hasColumn(head, waiting)) continue;
    for (const { slab, at, first, count } of paged.columnRuns(head, into, paged.lengths[head] ?? 0)) {
      const more = paged.column(head, waiting, first);
      for (let s = 0; s < count; s++) slab[at + s] = join(reduce, slab[at + s] ?? 0, more.slab[more.at + s] ?? 0);
    }
  }
}

/**
 * Put a tile's weights into the columns that the head stores: those of a group's newest row into `lastMass` and
 * `lastMaxWeight`, where they wait; the others into `mass` and `maxWeight`.
 *
 * @param newest whether the group's newest row is the tile's last.
 */
export function accumulate(paged: PagedReader, weights: Float64Array, tile: Tile, newest: boolean): void {
  const { head, rowCount, heads } = tile;
  const perGroup = heads.queryHeads / heads.kvHeads;
  const stride = columnsOf(tile);
  const vectors = rowCount * perGroup;
  // Slots of rows that come after the tile's are none of its columns.
  const slots = Math.min(paged.lengths[head] ?? 0, stride);
  for (const { into, waiting, reduce } of KINDS) {
    const added = newest && paged.hasColumn(head, waiting) ? vectors - perGroup : vectors;
    for (const { slab, at, first, count } of paged.columnRuns(head, into, slots)) {
      for (let s = 0; s < count; s++) {
        let value = slab[at + s] ?? 0;
        for (let i = 0; i < added; i++) value = join(reduce, value, weights[i * stride + first + s] ?? 0);
        slab[at + s] = value;
      }
    }
    if (!newest) continue;
    for (const { slab, at, first, count } of paged.columnRuns(head, waiting, slots)) {
      for (let s = 0; s < count; s++) {
        let value = 0;
        for (let i = vectors - perGroup; i < vectors; i++) {
          value = join(reduce, value, weights[i * stride + first + s] ?? 0);
        }
        slab[at + s] = value;
      }
    }
  }
}

function join(reduce: Kind["reduce"], a: number, b: number): number {
  return reduce === "sum" ? a + b : Math.max(a, b);
}
