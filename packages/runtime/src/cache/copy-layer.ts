import { rows, type Backend } from "@winnow/core-tensor";

import type { LayerCache } from "./layer-cache";
import { commonRuns } from "./page-runs";
import type { PagePlace } from "./slab-pool";

/** Give a layer of another sequence the same slots, in pages of its own. */
export function copyLayer(backend: Backend, from: LayerCache, to: LayerCache, pageSlots: number): void {
  from.lengths.forEach((length, head) => {
    to.setColumns(head, from.columnsOf(head));
    to.resize(head, length);
  });
  // Pages have their places when all are taken: the buffer of columns may move before.
  from.lengths.forEach((_, head) => {
    copyPages(backend, from.kvPlaces(head), to.kvPlaces(head), from.pageElements);
    for (const column of from.columnsOf(head)) {
      copyPages(backend, from.columnPlaces(head, column), to.columnPlaces(head, column), pageSlots);
    }
  });
  to.writeLengths();
  to.pending = from.pending;
}

function copyPages(backend: Backend, from: readonly PagePlace[], to: readonly PagePlace[], pageElements: number): void {
  for (const run of commonRuns(from, to, pageElements)) {
    const source = rows(run.from.slab, run.from.offset / pageElements, run.from.count);
    backend.copy(source, rows(run.to.slab, run.to.offset / pageElements, run.to.count));
  }
}
