import type { DeviceTensor, Rows } from "./device-tensor";

/** How one layer's attention is divided into heads. Query heads g·(queryHeads/kvHeads).. share KV head g. */
export interface HeadShape {
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/**
 * Keys and values of the rows being read, for the one layer being read: contiguous, and reused by every layer. Both are of
 * one type: f32, or f16 where the backend stores it.
 */
export interface KvScratch {
  /** [kvHeads, capacity, headDim] */
  readonly k: DeviceTensor;
  /** [kvHeads, capacity, headDim] */
  readonly v: DeviceTensor;
}

/**
 * Statistics a cache can hold beside each slot, in the order of a column table's second dimension. While tokens are
 * generated the newest row's weights wait in `lastMass` (their sum over a group) and `lastMaxWeight` (the greatest), and
 * are added to `mass` and `maxWeight` with the next row: so the newest row can be taken back.
 */
export const STORED_COLUMNS = ["position", "mass", "maxWeight", "windowMass", "lastMass", "lastMaxWeight"] as const;
export type StoredColumn = (typeof STORED_COLUMNS)[number];

/** Where the newest row's weights wait, and how they are added. */
export const WAITING: Readonly<
  Partial<Record<StoredColumn, { readonly column: StoredColumn; readonly reduce: "sum" | "max" }>>
> = {
  mass: { column: "lastMass", reduce: "sum" },
  maxWeight: { column: "lastMaxWeight", reduce: "max" },
};

/** What a head stores whose policy reads these columns: them, and where the newest row's weights wait. */
export function withWaiting(columns: ReadonlySet<string>): StoredColumn[] {
  const waiting = new Set(Object.entries(WAITING).flatMap(([name, { column }]) => (columns.has(name) ? [column] : [])));
  return STORED_COLUMNS.filter((name) => columns.has(name) || waiting.has(name));
}

/** Statistics that are computed from the keys and values when they are asked for. */
export const COMPUTED_COLUMNS = ["keyNorm", "valueNorm", "keyDiff"] as const;
export type ComputedColumn = (typeof COMPUTED_COLUMNS)[number];

/** A head without a page there has this number in a page table. */
export const NO_PAGE = 0xffffffff;

/**
 * The kept slots of one sequence in one layer. Page p of K and V lies in slab ⌊p / pagesPerSlab⌋, its keys
 * before its values; slot s of head h is slot s mod pageSlots of page table[h][⌊s / pageSlots⌋].
 */
export interface PagedKv {
  /**
   * By slab, null where it does not exist: f32 [pagesPerSlab, 2, pageSlots, headDim], or what else the backend stores: f16
   * of that shape, or u32 [pagesPerSlab, 2, pageSlots, width], the rows that `quantiseRows` makes, as wide as `kvRow` says.
   */
  readonly slabs: readonly (DeviceTensor | null)[];
  readonly pagesPerSlab: number;
  readonly pageSlots: number;
  /** u32 [kvHeads, pages] */
  readonly table: DeviceTensor;
  /** u32 [kvHeads]: slots in use. */
  readonly lengths: DeviceTensor;
  /** By KV head: no fewer than the slots in use before and after the operation. Grids are cut to them. */
  readonly bounds: readonly number[];
  /** f32 [column pages, pageSlots], positions as u32 bits; null where no head stores anything. */
  readonly columns: DeviceTensor | null;
  /**
   * u32 [kvHeads, STORED_COLUMNS.length, pages]; NO_PAGE where the head has no such column. Rows of one tensor for all
   * layers, whose rows' bytes are a multiple of 256 if there are others.
   */
  readonly columnTable: Rows;
  /** Whether `lastMass` and `lastMaxWeight` hold weights that `mass` and `maxWeight` do not have yet. */
  readonly pending: boolean;
}
