import {
  STORED_COLUMNS,
  WAITING,
  dequantiseRows,
  isQuantisedKv,
  kvRow,
  quantiseRows,
  type Backend,
  type StoredColumn,
} from "@winnow/core-tensor";

import type { KvLayout } from "./kv-store";
import type { LayerCache } from "./layer-cache";
import type { PagePlace } from "./slab-pool";

/** A head's slots on the host, without pages and whatever the cache's type. */
export interface HeadCopy {
  /** f32 [slots, headDim] */
  readonly keys: Float32Array;
  /** f32 [slots, headDim] */
  readonly values: Float32Array;
  /** f32 [slots] each; positions are 32-bit words. */
  readonly columns: Readonly<Partial<Record<StoredColumn, Float32Array>>>;
}

/** What pages look like. */
type PageShape = Pick<KvLayout, "kvType" | "pageSlots" | "heads">;

/** Copy a head's slots to the host. */
export async function copyHead(backend: Backend, layer: LayerCache, head: number, shape: PageShape): Promise<HeadCopy> {
  const { kvType, pageSlots, heads } = shape;
  const slots = layer.lengths[head] ?? 0;
  const { width } = kvRow(kvType, heads.headDim);
  const half = pageSlots * width;
  const places = layer.kvPlaces(head);
  const columns: Partial<Record<StoredColumn, Float32Array>> = {};
  for (const column of layer.columnsOf(head)) {
    columns[column] = await download(backend, layer.columnPlaces(head, column), 0, pageSlots, slots);
  }
  if (layer.pending) addWaiting(columns);
  const rows = async (skip: number): Promise<Float32Array> => {
    const stored = await download(backend, places, skip, half, slots * width);
    return isQuantisedKv(kvType) ? dequantiseRows(kvType, new Uint32Array(stored.buffer), heads.headDim) : stored;
  };
  return { keys: await rows(0), values: await rows(half), columns };
}

/** The positions of a head's slots: those of all tokens where it stores none, for then it has dropped nothing. */
export async function headPositions(
  backend: Backend,
  layer: LayerCache,
  head: number,
  { pageSlots }: Pick<PageShape, "pageSlots">,
): Promise<Uint32Array> {
  const slots = layer.lengths[head] ?? 0;
  if (!layer.columnsOf(head).includes("position")) return Uint32Array.from({ length: slots }, (_, slot) => slot);
  const words = await download(backend, layer.columnPlaces(head, "position"), 0, pageSlots, slots);
  return new Uint32Array(words.buffer);
}

/** Put slots back into a head that has their number of slots, and their columns. */
export function pasteHead(backend: Backend, layer: LayerCache, head: number, copy: HeadCopy, shape: PageShape): void {
  const { kvType, pageSlots, heads } = shape;
  const half = pageSlots * kvRow(kvType, heads.headDim).width;
  const places = layer.kvPlaces(head);
  const stored = (rows: Float32Array): Float32Array | Uint32Array =>
    isQuantisedKv(kvType) ? quantiseRows(kvType, rows, heads.headDim) : rows;
  upload(backend, places, 0, half, stored(copy.keys));
  upload(backend, places, half, half, stored(copy.values));
  for (const column of layer.columnsOf(head)) {
    const values = copy.columns[column];
    if (values !== undefined) upload(backend, layer.columnPlaces(head, column), 0, pageSlots, values);
  }
}

/** What is waiting is added where it belongs: a copy is of whole tokens. */
function addWaiting(columns: Readonly<Partial<Record<StoredColumn, Float32Array>>>): void {
  for (const name of STORED_COLUMNS) {
    const waiting = WAITING[name];
    const into = columns[name];
    const more = waiting === undefined ? undefined : columns[waiting.column];
    if (waiting === undefined || into === undefined || more === undefined) continue;
    more.forEach((value, slot) => {
      const before = into[slot] ?? 0;
      into[slot] = waiting.reduce === "sum" ? before + value : Math.max(before, value);
    });
  }
}

async function download(
  backend: Backend,
  places: readonly PagePlace[],
  skip: number,
  perPage: number,
  total: number,
): Promise<Float32Array> {
  const whole = new Float32Array(total);
  let at = 0;
  for (const { slab, offset } of places) {
    const part = await backend.download(slab, offset + skip, Math.min(perPage, total - at));
    // A typed array copies numbers; positions among floats have to keep their bits.
    new Uint32Array(whole.buffer).set(new Uint32Array(part.buffer, part.byteOffset, part.length), at);
    at += part.length;
  }
  return whole;
}

function upload(
  backend: Backend,
  places: readonly PagePlace[],
  skip: number,
  perPage: number,
  data: Float32Array | Uint32Array,
): void {
  places.forEach(({ slab, offset }, page) => {
    backend.write(slab, data.subarray(page * perPage, (page + 1) * perPage), offset + skip);
  });
}
