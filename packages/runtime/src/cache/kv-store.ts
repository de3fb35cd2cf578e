import { WinnowError, kvRow, kvRowBytes, type Backend, type HeadShape, type KvType } from "@winnow/core-tensor";

import { ColumnPool } from "./column-pool";
import { KvBudget } from "./kv-budget";
import { SlabPool } from "./slab-pool";

/** What decides the layout of every cache of a model. */
export interface KvLayout {
  /** One that the backend stores. */
  readonly kvType: KvType;
  readonly layers: number;
  /** By layer: positions that a row sees, itself included, which is a ceiling on what its heads keep; null for all. */
  readonly windows: readonly (number | null)[];
  readonly heads: HeadShape;
  /** Slots a page: a power of two from 8 to 256. */
  readonly pageSlots: number;
  /** The longest sequence, in tokens. */
  readonly context: number;
}

/** A layer's full cache takes about this many slabs, */
const SLABS_PER_LAYER = 4;
/** and more where they would be larger: each layer has one from its first token on, however long the context. */
const MOST_SLAB_BYTES = 2 ** 24;

/**
 * The pages that all sequences of one layout share: keys and values in slabs of their layer, the columns of all
 * layers in a buffer of their own.
 */
export class KvStore implements Disposable {
  readonly layers: readonly SlabPool[];
  readonly columns: ColumnPool;
  /** Of keys and values of rows being read: no layer is larger uncut than its full cache, where the backend has halves. */
  readonly scratchType: "f32" | "f16";

  constructor(
    backend: Backend,
    readonly layout: KvLayout,
    /** What slabs and columns are taken from. */
    readonly budget = new KvBudget(backend, Infinity),
  ) {
    this.scratchType = layout.kvType === "f32" || backend.name === "cpu" ? "f32" : "f16";
    const { kvHeads, headDim } = layout.heads;
    const { dtype, width } = kvRow(layout.kvType, headDim);
    const fullPages = Math.ceil(layout.context / layout.pageSlots) * kvHeads;
    const pageBytes = 2 * layout.pageSlots * kvRowBytes(layout.kvType, headDim);
    const most = Math.floor(MOST_SLAB_BYTES / pageBytes);
    const pagesPerSlab = Math.max(1, Math.min(most, Math.ceil(fullPages / SLABS_PER_LAYER)));
    this.layers = Array.from(
      { length: layout.layers },
      (_, layer) =>
        new SlabPool(backend, `kv.layer${layer}`, dtype, [2, layout.pageSlots, width], pagesPerSlab, budget),
    );
    this.columns = new ColumnPool(backend, layout.pageSlots, budget);
  }

  /** Bytes of the buffers that exist, for all sequences together. */
  get reservedBytes(): number {
    return this.layers.reduce((sum, pool) => sum + pool.reservedBytes, this.columns.reservedBytes);
  }

  /** Bytes of the pages and columns in use by all sequences together. */
  get liveBytes(): number {
    const pages = this.layers.reduce((sum, pool) => sum + pool.pages.livePages * pool.pageBytes, 0);
    return pages + this.columns.pages.livePages * this.columns.pageBytes;
  }

  /** Pages and columns in use by all sequences together. */
  get livePages(): number {
    return this.layers.reduce((sum, pool) => sum + pool.pages.livePages, this.columns.pages.livePages);
  }

  [Symbol.dispose](): void {
    for (const pool of this.layers) pool[Symbol.dispose]();
    this.columns[Symbol.dispose]();
  }
}

/** Slots a page unless told otherwise. */
export function defaultPageSlots(context: number): number {
  return context <= 4096 ? 16 : 64;
}

/** @throws WinnowError `usage` for a page that no cache has. */
export function expectPageSlots(slots: number): void {
  const fits = Number.isInteger(slots) && slots >= 8 && slots <= 256 && (slots & (slots - 1)) === 0;
  if (!fits) throw new WinnowError("usage", `a page of ${slots} slots; expected a power of two from 8 to 256`);
}

/** What a cache without any policy would hold for `tokens` tokens: whole pages, no columns, in a window what it sees. */
export function fullCacheBytes(layout: KvLayout, tokens: number): number {
  const { kvHeads, headDim } = layout.heads;
  const slots = layout.windows.map((window) => Math.min(tokens, window ?? Infinity));
  const pages = slots.reduce((sum, count) => sum + Math.ceil(count / layout.pageSlots) * kvHeads, 0);
  return pages * 2 * layout.pageSlots * kvRowBytes(layout.kvType, headDim);
}
