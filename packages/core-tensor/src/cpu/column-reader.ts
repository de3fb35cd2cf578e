import { NO_PAGE, STORED_COLUMNS, WAITING, type StoredColumn } from "../backend";
import type { DeviceTensor } from "../device-tensor";
import { WinnowError } from "../errors";
import { elementCount } from "../shape";
import { f32Of } from "./cpu-tensor";

/** Entries of a column that lie one behind the other. */
export interface ColumnRun {
  readonly slab: Float32Array;
  /** Elements before the first entry. */
  readonly at: number;
  /** Number of the first slot, and how many. */
  readonly first: number;
  readonly count: number;
}

/** Where the columns of some heads lie. */
export interface ColumnPlaces {
  readonly columns: DeviceTensor | null;
  readonly pageSlots: number;
  readonly pending: boolean;
  /** [heads, STORED_COLUMNS.length, tableWidth] */
  readonly table: Uint32Array;
  readonly tableWidth: number;
}

const wordView = new WeakMap<Float32Array, Uint32Array>();

/** What heads store beside their slots, as the CPU's kernels walk it. */
export class ColumnReader {
  constructor(private readonly places: ColumnPlaces) {}

  /** Whether the newest row's weights have still to be added to `mass` and `maxWeight`. */
  get pending(): boolean {
    return this.places.pending;
  }

  hasColumn(head: number, column: StoredColumn): boolean {
    return this.places.table[this.#row(head, column)] !== NO_PAGE;
  }

  /** The first `count` entries of a column, page by page; nothing where the head has no such column. */
  columnRuns(head: number, column: StoredColumn, count: number): ColumnRun[] {
    const { pageSlots } = this.places;
    const runs: ColumnRun[] = [];
    if (!this.hasColumn(head, column)) return runs;
    for (let first = 0; first < count; first += pageSlots) {
      const { slab, at } = this.column(head, column, first);
      runs.push({ slab, at, first, count: Math.min(pageSlots, count - first) });
    }
    return runs;
  }

  /** Where a slot's entry of a column lies; only for columns that the head has. */
  column(head: number, column: StoredColumn, slot: number): { readonly slab: Float32Array; readonly at: number } {
    const { pageSlots, columns, table } = this.places;
    const page = table[this.#row(head, column) + Math.floor(slot / pageSlots)] ?? NO_PAGE;
    const at = page * pageSlots + (slot % pageSlots);
    if (columns === null || at >= elementCount(columns.shape)) {
      throw new WinnowError("range", `page ${page} of a cache's columns does not exist; resize the row first`);
    }
    return { slab: f32Of(columns), at };
  }

  /** What a head stores in a column beside a slot, with what waits to be added to it; 0 where it stores nothing. */
  stored(head: number, column: StoredColumn, slot: number): number {
    if (!this.hasColumn(head, column)) return 0;
    const { slab, at } = this.column(head, column, slot);
    const value = slab[at] ?? 0;
    const waiting = WAITING[column];
    if (waiting === undefined || !this.pending || !this.hasColumn(head, waiting.column)) return value;
    const more = this.column(head, waiting.column, slot);
    const added = more.slab[more.at] ?? 0;
    return waiting.reduce === "sum" ? Math.fround(value + added) : Math.max(value, added);
  }

  /** A slot's true position; where the head stores none, nothing was ever dropped, and slot and position agree. */
  position(head: number, slot: number): number {
    if (!this.hasColumn(head, "position")) return slot;
    const { slab, at } = this.column(head, "position", slot);
    return wordsOf(slab)[at] ?? 0;
  }

  setPosition(head: number, slot: number, position: number): void {
    const { slab, at } = this.column(head, "position", slot);
    wordsOf(slab)[at] = position;
  }

  #row(head: number, column: StoredColumn): number {
    return (head * STORED_COLUMNS.length + STORED_COLUMNS.indexOf(column)) * this.places.tableWidth;
  }
}

/** The same memory as 32-bit words: positions lie among floats. */
export function wordsOf(slab: Float32Array): Uint32Array {
  let words = wordView.get(slab);
  if (words === undefined) {
    words = new Uint32Array(slab.buffer, slab.byteOffset, slab.length);
    wordView.set(slab, words);
  }
  return words;
}
