import { NO_PAGE, type PagedKv } from "../backend";
import type { DeviceTensor } from "../device-tensor";
import { WinnowError } from "../errors";
import { ColumnReader } from "./column-reader";
import { f32Of, u32Of, u32Rows } from "./cpu-tensor";

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

/** A layer's pages as the CPU's kernels walk them. */
export class PagedReader extends ColumnReader {
  readonly lengths: Uint32Array;
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
    const page = this.#table[head * this.#tableWidth + Math.floor(slot / pageSlots)] ?? NO_PAGE;
    const slab = slabOf(this.kv.slabs, Math.floor(page / pagesPerSlab), page);
    const start = (page % pagesPerSlab) * 2 * pageSlots * this.headDim;
    const k = start + (slot % pageSlots) * this.headDim;
    return { slab, k, v: k + pageSlots * this.headDim };
  }
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
