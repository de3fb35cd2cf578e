import { NO_PAGE, type PagedKv } from "../backend";
import type { DeviceTensor } from "../device-tensor";
import { WinnowError } from "../errors";
import { ColumnReader } from "./column-reader";
import { f32Of, u32Of, u32Rows } from "./cpu-tensor";
import { isQuantisedKv, kvRow, kvTypeOfRow, type QuantisedKvType } from "../kv-type";
import { dequantiseRows, quantiseRows } from "../quantised-kv";

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

/** A layer's pages as the CPU's kernels walk them. What they store in q8 or q4 is read as the numbers that it stands for. */
export class PagedReader extends ColumnReader {
  readonly lengths: Uint32Array;
  /** By page: keys, then values, of quantised pages that were read. */
  readonly #read = new Map<number, Float32Array>();
  /** How rows are quantised; null where they are not. */
  readonly #quantised: QuantisedKvType | null;
  /** Elements of a row. */
  readonly #width: number;
  readonly #table: Uint32Array;
  readonly #tableWidth: number;

  constructor(
    private readonly kv: PagedKv,
    private readonly headDim: number,
  ) {
    super({
      columns: kv.columns,
      pageSlots: kv.pageSlots,
      pending: kv.pending,
      table: u32Rows("paged", "column table", kv.columnTable),
      tableWidth: kv.columnTable.tensor.shape[2] ?? 0,
    });
    this.#quantised = quantisedTypeOf(kv.slabs, headDim);
    this.#width = this.#quantised === null ? headDim : kvRow(this.#quantised, headDim).width;
    this.lengths = u32Of(kv.lengths);
    this.#table = u32Of(kv.table);
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
    const { page, slab } = this.#page(head, slot);
    const quantised = this.#quantised;
    const first = quantised === null ? (page % pagesPerSlab) * 2 * pageSlots : 0;
    const k = (first + (slot % pageSlots)) * this.headDim;
    return {
      slab: quantised === null ? f32Of(slab) : this.#decoded(page, slab, quantised),
      k,
      v: k + pageSlots * this.headDim,
    };
  }

  /** Store a slot's key and value, `headDim` elements from `kAt` and `vAt` on. */
  put(head: number, slot: number, keys: Float32Array, kAt: number, values: Float32Array, vAt: number): void {
    const { headDim } = this;
    const { page, slab } = this.#page(head, slot);
    const [k, v] = this.#rows(page, slot);
    const key = keys.subarray(kAt, kAt + headDim);
    const value = values.subarray(vAt, vAt + headDim);
    const quantised = this.#quantised;
    if (quantised === null) {
      f32Of(slab).set(key, k);
      f32Of(slab).set(value, v);
      return;
    }
    u32Of(slab).set(quantiseRows(quantised, key, headDim), k);
    u32Of(slab).set(quantiseRows(quantised, value, headDim), v);
    this.#read.delete(page);
  }

  /** Store a slot's key and value in another slot of its head, as they are stored. */
  move(head: number, from: number, to: number): void {
    const source = this.#page(head, from);
    const target = this.#page(head, to);
    const [fromK, fromV] = this.#rows(source.page, from);
    const [toK, toV] = this.#rows(target.page, to);
    const width = this.#width;
    const [read, written] =
      this.#quantised !== null ? [u32Of(source.slab), u32Of(target.slab)] : [f32Of(source.slab), f32Of(target.slab)];
    written.set(read.subarray(fromK, fromK + width), toK);
    written.set(read.subarray(fromV, fromV + width), toV);
    this.#read.delete(target.page);
  }

  #page(head: number, slot: number): { readonly page: number; readonly slab: DeviceTensor } {
    const { pageSlots, pagesPerSlab, slabs } = this.kv;
    const page = this.#table[head * this.#tableWidth + Math.floor(slot / pageSlots)] ?? NO_PAGE;
    return { page, slab: slabOf(slabs, Math.floor(page / pagesPerSlab), page) };
  }

  /** Elements of a slab before a slot's key and value. */
  #rows(page: number, slot: number): readonly [k: number, v: number] {
    const { pageSlots, pagesPerSlab } = this.kv;
    const k = ((page % pagesPerSlab) * 2 * pageSlots + (slot % pageSlots)) * this.#width;
    return [k, k + pageSlots * this.#width];
  }

  #decoded(page: number, slab: DeviceTensor, quantised: QuantisedKvType): Float32Array {
    const known = this.#read.get(page);
    if (known !== undefined) return known;
    const { pageSlots } = this.kv;
    const [start] = this.#rows(page, 0);
    const words = u32Of(slab).subarray(start, start + 2 * pageSlots * this.#width);
    const decoded = dequantiseRows(quantised, words, this.headDim);
    this.#read.set(page, decoded);
    return decoded;
  }
}

/** All slabs of a cache are alike. */
function quantisedTypeOf(slabs: readonly (DeviceTensor | null)[], headDim: number): QuantisedKvType | null {
  const slab = slabs.find((one) => one !== null) ?? null;
  if (slab?.dtype !== "u32") return null;
  const kvType = kvTypeOfRow({ dtype: slab.dtype, width: slab.shape.at(-1) ?? 0 }, headDim);
  return isQuantisedKv(kvType) ? kvType : null;
}

function slabOf(slabs: readonly (DeviceTensor | null)[], number: number, page: number): DeviceTensor {
  const slab = slabs[number];
  if (slab === null || slab === undefined) {
    throw new WinnowError(
      "range",
      `page ${page} of a KV cache lies in slab ${number}, which does not exist; resize the row first`,
    );
  }
  return slab;
}
