import type { KvStore } from "./kv-store";

/** What is about to be taken of a store. */
export interface KvNeed {
  /** Pages of keys and values, by layer. */
  readonly pages: readonly number[];
  /** Pages of columns, of all layers together. */
  readonly columnPages: number;
  /** Bytes of buffers besides. */
  readonly bytes: number;
}

/** What two need together. */
export function joinNeeds(a: KvNeed, b: KvNeed): KvNeed {
  return {
    pages: a.pages.map((pages, l) => pages + (b.pages[l] ?? 0)),
    columnPages: a.columnPages + b.columnPages,
    bytes: a.bytes + b.bytes,
  };
}

/** Bytes that the allocator will count more, by what exists and is free now. */
export function bytesFor(store: KvStore, { pages, columnPages, bytes }: KvNeed): number {
  const slabs = store.layers.reduce((sum, pool, l) => sum + pool.bytesFor(pages[l] ?? 0), 0);
  return slabs + store.columns.bytesFor(columnPages) + bytes;
}
