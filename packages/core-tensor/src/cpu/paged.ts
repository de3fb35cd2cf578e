import { NO_PAGE, STORED_COLUMNS, type PagedKv, type StoredColumn } from "../backend";
import type { DeviceTensor } from "../device-tensor";
import { WinnowError } from "../errors";
import { f32Of, u32Of } from "./cpu-tensor";

/** Slots that lie one behind the other: part of one page. */
export interface SlotRun {
  readonly slab: Float32Array;
  /** Elements before the first slot's key and value. */
  readonly k: number;
  readonly v: number;
  /** Number of the first slot, and how many. */
  readonly first: number;
  readonly count: number;
}

/** Entries of a column that lie one behind the other. */
export interface ColumnRun {
  readonly slab: Float32Array;
  /** Elements before the first entry. */
  readonly at: number;
  /** Number of the first slot, and how many. */
  readonly first: number;
  readonly count: number;
}

const wordView = new WeakMap<Float32Array, Uint32Array>();

/** A layer's pages as the CPU's kernels walk them. */
export class PagedReader {
  readonly lengths: Uint32Array;
  readonly #table: Uint32Array;
  readonly #columnTable: Uint32Array;
  readonly #tableWidth: number;

  constructor(
    private readonly kv: PagedKv,
    private readonly headDim: number,
  ) {
    this.lengths = u32Of(kv.lengths);
    this.#table = u32Of(kv.table);
    this.#columnTable = u32Of(kv.columnTable);
    this.#tableWidth = kv.table.shape[1] ?? 0;
  }

  /** The first `count` slots of a head (all unless told otherwise), page by page. */
  runs(head: number, count = this.lengths[head] ?? 0): SlotRun[] {
    const { pageSlots } = this.kv;
    const runs: SlotRun[] = [];
    for (let first = 0; first < count; first += pageSlots) {
      const { slab, k, v } = this.slot(head, first);
      runs.push({ slab, k, v, first, count: Math.min(pageSlots, count - first) });
    }
    return runs;
  }

  /** Where a slot's key and value begin. */
  slot(head: number, slot: number): { readonly slab: Float32Array; readonly k: number; readonly v: number } {
    const { pageSlots, pagesPerSlab } = this.kv;
    const page = this.#table[head * this.#tableWidth + Math.floor(slot / pageSlots)] ?? NO_PAGE;
    const slab = slabOf(this.kv.slabs, Math.floor(page / pagesPerSlab), page);
    const start = (page % pagesPerSlab) * 2 * pageSlots * this.headDim;
    const k = start + (slot % pageSlots) * this.headDim;
    return { slab, k, v: k + pageSlots * this.headDim };
  }

  hasColumn(head: number, column: StoredColumn): boolean {
    return this.#columnTable[this.#columnRow(head, column)] !== NO_PAGE;
  }

  /** The first `count` entries of a column, page by page; nothing where the head has no such column. */
  columnRuns(head: number, column: StoredColumn, count: number): ColumnRun[] {
    const { pageSlots } = this.kv;
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
    const { pageSlots, columnPagesPerSlab } = this.kv;
    const page = this.#columnTable[this.#columnRow(head, column) + Math.floor(slot / pageSlots)] ?? NO_PAGE;
    const slab = slabOf(this.kv.columnSlabs, Math.floor(page / columnPagesPerSlab), page);
    return { slab, at: (page % columnPagesPerSlab) * pageSlots + (slot % pageSlots) };
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

  #columnRow(head: number, column: StoredColumn): number {
    return (head * STORED_COLUMNS.length + STORED_COLUMNS.indexOf(column)) * this.#tableWidth;
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

function slabOf(slabs: readonly (DeviceTensor | null)[], number: number, page: number): Float32Array {
  const slab = slabs[number];
  if (slab === null || slab === undefined) {
    throw new WinnowError(
      "range",
      `page ${page} of a KV cache lies in slab ${number}, which does not exist; resize the row first`,
    );
  }
  return f32Of(slab);
}
