import type { BoolProgram } from "./bool-program";
import type { DeviceTensor } from "./device-tensor";
import type { Expr } from "./expr";
import type { HeadShape, KvScratch, PagedKv, StoredColumn } from "./paged-kv";
import type { SelectProgram } from "./select-program";

/** Slots of several heads side by side in contiguous columns. */
export interface SlotTable {
  readonly kind: "table";
  /** Heads. */
  readonly rowCount: number;
  /** Slots a row can hold. */
  readonly capacity: number;
  /** u32 [rowCount] */
  readonly counts: DeviceTensor;
  /** u32 [rowCount, capacity] */
  readonly position: DeviceTensor;
  /** u32 [rowCount, capacity] */
  readonly flags: DeviceTensor;
  /** f32 [rowCount, capacity] each, by name. */
  readonly columns: Readonly<Record<string, DeviceTensor>>;
}

/**
 * Slots of several heads where they lie, in the pages of one sequence: what a sweep goes by, without a copy of them. Of
 * columns there are those that are stored.
 */
export interface PagedSlots {
  readonly kind: "pages";
  /** Heads of all layers. */
  readonly rowCount: number;
  /** No row has more slots. */
  readonly capacity: number;
  /** Slots by row. */
  readonly counts: readonly number[];
  /** u32: class bits by position. */
  readonly flags: DeviceTensor;
  readonly pageSlots: number;
  readonly columns: DeviceTensor | null;
  /** u32 [rowCount, STORED_COLUMNS.length, pages] */
  readonly columnTable: DeviceTensor;
  readonly pending: boolean;
}

/** What `select` ranks. */
export type SelectSlots = SlotTable | PagedSlots;

/** Fill rows of a slot table from a layer's kept slots, then from scratch rows. */
export interface StatisticsSpec {
  readonly heads: HeadShape;
  readonly paged?: PagedKv;
  readonly scratch?: { readonly kv: KvScratch; readonly start: number; readonly count: number };
  /** u32: positions by scratch row; needed with `scratch`. */
  readonly positions?: DeviceTensor;
  /** u32: class bits by position. */
  readonly flags: DeviceTensor;
  /** f32 [kvHeads, columns]: added to (max: compared with) what the kept slots store, under the column's name. */
  readonly recorded: readonly {
    readonly name: StoredColumn;
    readonly reduce: "sum" | "max" | "replace";
    readonly from: DeviceTensor;
  }[];
  readonly into: SlotTable;
  /** Row of the table for the layer's first head. */
  readonly firstRow: number;
}

/** Columns sorted into buckets by rank: bucket b holds ranks edges[b-1] <= rank < edges[b]; the last is open. */
export interface RankScale {
  readonly score: Expr;
  /** Ascending. */
  readonly edges: readonly number[];
  /** Only columns that satisfy this are ranked; the others fall into the last bucket. It may not use rank tests. */
  readonly within?: BoolProgram;
  readonly scope: "head" | "layer";
}

/** Reduce a mass table to a few kilobytes: sums by (query head, class, rank bucket, band), and counts of columns. */
export interface SummariseSpec {
  readonly heads: HeadShape;
  /** f32 [queryHeads, columns, bands] */
  readonly table: DeviceTensor;
  /** The layer's kvHeads rows, whose slots are the table's columns. */
  readonly slots: SlotTable;
  /** Position of the newest row, for `age`. */
  readonly now: number;
  /** Number of the table's first row over all layers, which seeds `random`. */
  readonly firstRow: number;
  /** u32 [kvHeads, capacity] or [1, capacity] (the same for all heads): class of each column, below classCount. */
  readonly classes: DeviceTensor;
  readonly classCount: number;
  readonly scales: readonly RankScale[];
  /** f32 [queryHeads, classCount, buckets, bands]; buckets is the product over the scales, the first slowest. */
  readonly sums: DeviceTensor;
  /** u32 [kvHeads, classCount, buckets] */
  readonly counts: DeviceTensor;
}

/** Run every head's program over its slots. */
export interface SelectSpec {
  readonly slots: SelectSlots;
  readonly headsPerLayer: number;
  /** One a row of the table. */
  readonly programs: readonly SelectProgram[];
  /** What the programs' score numbers mean. */
  readonly scores: readonly Expr[];
  /** Position of the newest row. */
  readonly now: number;
  /** Number of the table's first row over all layers, which seeds `random`. */
  readonly firstRow: number;
  /** u32 [rowCount, ceil(capacity / 32)]: bit c of a row is set where column c is kept. */
  readonly keep: DeviceTensor;
  /** u32 [rowCount]: kept slots. */
  readonly kept: DeviceTensor;
}

/**
 * How much of a stored column a selection drops: by head, its sum over the slots that are not kept, and over all. What a
 * selection would lose is so known before anything is moved.
 */
export interface WeighSpec {
  readonly slots: SelectSlots;
  /** As `select` would read it, with what waits to be added. Heads that do not store it have sums of 0. */
  readonly column: Exclude<StoredColumn, "position">;
  /** u32 [rowCount, ceil(capacity / 32)], as `select` fills it. */
  readonly keep: DeviceTensor;
  /** f32 [rowCount, 2]: over the slots that are not kept, then over all. */
  readonly sums: DeviceTensor;
}

/**
 * Drop the slots of a layer that are not kept, moving the others down in order. What is stored beside a slot comes
 * from the table where there is one that has the column, and else moves with the slot.
 */
export interface CompactSpec {
  readonly heads: HeadShape;
  readonly paged: PagedKv;
  readonly slots: SelectSlots;
  readonly keep: DeviceTensor;
  /** Row of the slots for the layer's first head. */
  readonly firstRow: number;
}

/**
 * Copy the kept scratch rows behind the kept slots; the pages must be there, with room for them. Scratch row start + i
 * is column counts[row] - count + i of its head. What is stored beside a slot comes from the table; a column that it
 * lacks is 0.
 */
export interface GatherSpec {
  readonly heads: HeadShape;
  readonly scratch: KvScratch;
  readonly start: number;
  readonly count: number;
  readonly paged: PagedKv;
  readonly slots: SlotTable;
  readonly keep: DeviceTensor;
  readonly firstRow: number;
}
