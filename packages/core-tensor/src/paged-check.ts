import type { HeadShape, PagedKv } from "./backend";
import { STORED_COLUMNS } from "./paged-kv";
import { expectShape } from "./shape";

/**
 * What every CPU engine checks of a cache's pages before it reads or writes them: all that can be known without the lengths.
 *
 * @throws WinnowError `shape` when its parts do not fit together.
 */
export function checkPaged(
  { slabs, pagesPerSlab, pageSlots, table, lengths, columns, columnTable }: PagedKv,
  { kvHeads, headDim }: HeadShape,
): void {
  for (const slab of slabs) {
    if (slab === null) continue;
    // Quantised rows have a width of their own, from which their type is known.
    const width = slab.dtype === "f32" ? headDim : null;
    expectShape("paged", "slab", slab.shape, [pagesPerSlab, 2, pageSlots, width]);
  }
  expectShape("paged", "table", table.shape, [kvHeads, null]);
  expectShape("paged", "lengths", lengths.shape, [kvHeads]);
  if (columns !== null) expectShape("paged", "columns", columns.shape, [null, pageSlots]);
  expectShape("paged", "column table", columnTable.tensor.shape, [null, STORED_COLUMNS.length, null]);
}
