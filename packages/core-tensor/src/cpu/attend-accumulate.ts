import { columnsOf, type Tile } from "./attend-tile";
import type { PagedReader } from "./paged";

/** Add a tile's weights to the columns that the head stores: their sums, the greatest, and those of the newest row. */
export function accumulate(paged: PagedReader, weights: Float64Array, tile: Tile): void {
  const { head, rowCount, heads } = tile;
  const perGroup = heads.queryHeads / heads.kvHeads;
  const stride = columnsOf(tile);
  const vectors = rowCount * perGroup;
  // Slots of rows that come after the tile's are none of its columns.
  const slots = Math.min(paged.lengths[head] ?? 0, stride);
  for (const { slab, at, first, count } of paged.columnRuns(head, "mass", slots)) {
    for (let s = 0; s < count; s++) {
      let sum = 0;
      for (let i = 0; i < vectors; i++) sum += weights[i * stride + first + s] ?? 0;
      slab[at + s] = (slab[at + s] ?? 0) + sum;
    }
  }
  for (const { slab, at, first, count } of paged.columnRuns(head, "maxWeight", slots)) {
    for (let s = 0; s < count; s++) {
      let greatest = slab[at + s] ?? 0;
      for (let i = 0; i < vectors; i++) greatest = Math.max(greatest, weights[i * stride + first + s] ?? 0);
      slab[at + s] = greatest;
    }
  }
  for (const { slab, at, first, count } of paged.columnRuns(head, "lastMass", slots)) {
    for (let s = 0; s < count; s++) {
      let sum = 0;
      for (let i = vectors - perGroup; i < vectors; i++) sum += weights[i * stride + first + s] ?? 0;
      slab[at + s] = sum;
    }
  }
}
