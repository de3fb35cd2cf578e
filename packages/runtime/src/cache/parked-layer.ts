import type { Backend, StoredColumn } from "@winnow/core-tensor";

import type { LayerCache } from "./layer-cache";
import { runsOf } from "./page-runs";
import type { PagePlace } from "./slab-pool";

type Words = Float32Array | Uint32Array;

interface ParkedHead {
  readonly length: number;
  /** Whole pages, run by run. */
  readonly kv: readonly Words[];
  readonly columns: readonly { readonly name: StoredColumn; readonly pages: readonly Words[] }[];
}

/** A layer's slots on the host, as its pages held them: nothing is converted, so that it comes back to the bit. */
export interface ParkedLayer {
  readonly heads: readonly ParkedHead[];
  readonly pageCount: number;
  readonly columnPageCount: number;
}

/** Copy a layer's slots to the host. */
export async function parkLayer(backend: Backend, layer: LayerCache, pageSlots: number): Promise<ParkedLayer> {
  const heads: ParkedHead[] = [];
  for (const [head, length] of layer.lengths.entries()) {
    const columns: ParkedHead["columns"][number][] = [];
    for (const name of layer.columnsOf(head)) {
      columns.push({ name, pages: await downloadPages(backend, layer.columnPlaces(head, name), pageSlots) });
    }
    heads.push({ length, kv: await downloadPages(backend, layer.kvPlaces(head), layer.pageElements), columns });
  }
  return { heads, pageCount: layer.pageCount, columnPageCount: layer.columnPageCount };
}

/** Give the slots that were parked to a layer that has none. */
export function restoreLayer(backend: Backend, parked: ParkedLayer, layer: LayerCache, pageSlots: number): void {
  parked.heads.forEach(({ length, columns }, head) => {
    layer.setColumns(
      head,
      columns.map(({ name }) => name),
    );
    layer.resize(head, length);
  });
  // Pages have their places when all are taken: the buffer of columns may move before.
  parked.heads.forEach(({ kv, columns }, head) => {
    uploadPages(backend, layer.kvPlaces(head), layer.pageElements, kv);
    for (const { name, pages } of columns) uploadPages(backend, layer.columnPlaces(head, name), pageSlots, pages);
  });
  layer.writeLengths();
}

async function downloadPages(backend: Backend, places: readonly PagePlace[], pageElements: number): Promise<Words[]> {
  const runs = runsOf(places, pageElements);
  return Promise.all(runs.map(({ slab, offset, count }) => backend.download(slab, offset, count * pageElements)));
}

function uploadPages(
  backend: Backend,
  places: readonly PagePlace[],
  pageElements: number,
  parts: readonly Words[],
): void {
  let at = 0;
  for (const part of parts) {
    const count = part.length / pageElements;
    for (const { slab, offset, first, count: pages } of runsOf(places.slice(at, at + count), pageElements)) {
      backend.write(slab, part.subarray(first * pageElements, (first + pages) * pageElements), offset);
    }
    at += count;
  }
}
