import {
  NO_PAGE,
  RaggedRows,
  STORED_COLUMNS,
  WAITING,
  WinnowError,
  withWaiting,
  type Backend,
  type DeviceTensor,
  type PagedKv,
  type Rows,
  type StoredColumn,
} from "@winnow/core-tensor";

import type { KvStore } from "./kv-store";
import type { PagePlace, SlabPool } from "./slab-pool";

/** Columns that rows add their weights to. */
const ACCUMULATED: ReadonlySet<StoredColumn> = new Set(withWaiting(new Set(Object.keys(WAITING))));

/** Slots by which bounds grow, or by a page that has more: so what operations see stays the same for some tokens. */
const SLOTS_PER_BOUND = 64;

/** What the device knows of a layer's pages. */
interface LayerTables {
  /** u32 [kvHeads, pages] */
  readonly pages: DeviceTensor;
  /** u32 [kvHeads] */
  readonly lengths: DeviceTensor;
  /** The heads' rows of the sequence's column table. */
  readonly columns: Rows;
}

/**
 * The kept slots of one sequence in one layer: for each KV head a list of pages, and beside them pages for the
 * columns that the head's policy needs. The host knows every length; the device has its own copy, which the
 * operations that move slots keep up to date.
 */
export class LayerCache implements Disposable {
  /** Whether the newest row's weights have still to be added to `mass` and `maxWeight`. */
  pending = false;
  readonly #kv: RaggedRows;
  readonly #columns: RaggedRows;
  readonly #pool: SlabPool;
  /** Null while nothing is on the device. */
  #tables: LayerTables | null = null;
  readonly #columnsOf: readonly StoredColumn[][];
  /** Null where it is not known, or no longer so. */
  #paged: PagedKv | null = null;
  readonly #tableWidth: number;

  constructor(
    private readonly backend: Backend,
    private readonly store: KvStore,
    pool: SlabPool,
  ) {
    const { heads, pageSlots, context } = store.layout;
    this.#pool = pool;
    this.#tableWidth = Math.ceil(context / pageSlots);
    this.#kv = new RaggedRows(pool.pages, heads.kvHeads, pageSlots);
    this.#columns = new RaggedRows(store.columns.pages, heads.kvHeads * STORED_COLUMNS.length, pageSlots);
    this.#columnsOf = Array.from({ length: heads.kvHeads }, () => []);
  }

  /**
   * Have tables on the device, where there are none.
   *
   * @param columns its heads' rows of the sequence's column table.
   */
  open(columns: Rows): void {
    const options = { label: "kv.tables", category: "kv" } as const;
    const heads = this.#columnsOf.length;
    this.#tables = {
      pages: this.backend.allocate("u32", [heads, this.#tableWidth], options),
      lengths: this.backend.allocate("u32", [heads], options),
      columns,
    };
  }

  /** Give pages and tables back. */
  close(): void {
    this.lengths.forEach((_, head) => {
      this.resize(head, 0);
    });
    this.#tables?.pages[Symbol.dispose]();
    this.#tables?.lengths[Symbol.dispose]();
    this.#tables = null;
    this.#paged = null;
  }

  /** What the operations of a backend see: the same object as long as nothing in it changes, which is for some tokens. */
  get paged(): PagedKv {
    const { columns } = this.store;
    const known = this.#paged;
    if (known !== null && known.pending === this.pending && known.columns === columns.buffer) return known;
    const { pages, lengths, columns: columnTable } = this.#opened;
    const { pageSlots } = this.store.layout;
    this.#paged = {
      slabs: this.#slabs(),
      pagesPerSlab: this.#pool.pagesPerSlab,
      pageSlots,
      table: pages,
      lengths,
      bounds: this.#columnsOf.map((_, head) => this.#boundOf(head)),
      columns: columns.buffer,
      columnTable,
      pending: this.pending,
    };
    return this.#paged;
  }

  /** Slots in use, by KV head. */
  get lengths(): readonly number[] {
    return this.#columnsOf.map((_, head) => this.#kv.length(head));
  }

  get longest(): number {
    return Math.max(...this.lengths);
  }

  /** Bytes of the pages and columns in use. */
  get bytes(): number {
    return this.#kv.pageCount * this.#pool.pageBytes + this.#columns.pageCount * this.store.columns.pageBytes;
  }

  /** Whether any head stores what generated rows add to. */
  get accumulates(): boolean {
    return this.#columnsOf.some((columns) => columns.some((column) => ACCUMULATED.has(column)));
  }

  /** Pages of keys and values in use. */
  get pageCount(): number {
    return this.#kv.pageCount;
  }

  /** Pages of columns in use. */
  get columnPageCount(): number {
    return this.#columns.pageCount;
  }

  /** Elements of a page of keys and values. */
  get pageElements(): number {
    return this.#pool.pageElements;
  }

  /** Columns that some head stores. */
  get storedColumns(): readonly StoredColumn[] {
    return STORED_COLUMNS.filter((name) => this.#columnsOf.some((columns) => columns.includes(name)));
  }

  columnsOf(head: number): readonly StoredColumn[] {
    return this.#columnsOf[head] ?? [];
  }

  /** Where the keys and values of a head lie, page by page. */
  kvPlaces(head: number): PagePlace[] {
    return this.#kv.pages(head).map((page) => this.#pool.locate(page));
  }

  /** Where a column of a head lies, page by page; nowhere where the head has none. */
  columnPlaces(head: number, column: StoredColumn): PagePlace[] {
    return this.store.columns.locate(this.#columns.pages(this.#columnRow(head, column)));
  }

  /**
   * Choose the columns that a head stores from now on. The values of a new one are undefined until the next
   * `compact` or `gather` of the layer sets them.
   */
  setColumns(head: number, columns: readonly StoredColumn[]): void {
    const current = this.#columnsOf[head];
    if (current === undefined) return;
    for (const column of STORED_COLUMNS) {
      const wanted = columns.includes(column);
      if (wanted === current.includes(column)) continue;
      const row = this.#columnRow(head, column);
      this.#columns.resize(row, wanted ? this.#kv.length(head) : 0);
      this.#writeColumnPages(row, wanted ? this.#columns.pages(row) : [NO_PAGE], 0);
    }
    current.splice(0, current.length, ...columns);
  }

  /**
   * Set a head's length on the host, taking pages for more slots or giving spare ones back. The slots themselves
   * are written by operations; so is the device's copy of the length.
   *
   * @throws WinnowError `disposed`, and takes nothing, when it is longer and the cache has been closed.
   */
  resize(head: number, length: number): void {
    const tables = length > this.#kv.length(head) ? this.#opened : null;
    const before = this.#kv.pages(head).length;
    if (this.#kv.resize(head, length)) this.#pagesChanged(head, before, tables);
    for (const column of this.columnsOf(head)) {
      const row = this.#columnRow(head, column);
      const known = this.#columns.pages(row).length;
      this.#columns.resize(row, length);
      this.#writeColumnPages(row, this.#columns.pages(row), known);
    }
  }

  /** Take pages for so many more slots of each head. */
  grow(count = 1): void {
    for (let head = 0; head < this.#columnsOf.length; head++) this.resize(head, this.#kv.length(head) + count);
  }

  /** Pages that `grow` would take. */
  growth(count = 1): { readonly pages: number; readonly columnPages: number } {
    const { pageSlots } = this.store.layout;
    const pagesOf = (length: number): number => Math.ceil(length / pageSlots);
    const more = this.lengths.map((length) => pagesOf(length + count) - pagesOf(length));
    return {
      pages: more.reduce((sum, pages) => sum + pages, 0),
      columnPages: more.reduce((sum, pages, head) => sum + pages * this.columnsOf(head).length, 0),
    };
  }

  /** Take back the newest slots of each head, which nothing came after. */
  takeBack(count = 1): void {
    this.lengths.forEach((length, head) => {
      this.resize(head, length - count);
    });
    this.writeLengths();
  }

  /** Make the device's copy of the lengths the host's again, or for a time as many slots less. */
  writeLengths(less = 0): void {
    this.backend.write(
      this.#opened.lengths,
      Uint32Array.from(this.lengths, (length) => length - less),
    );
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @param before pages that the head had. */
  #pagesChanged(head: number, before: number, tables: LayerTables | null): void {
    const added = this.#kv.pages(head).slice(before);
    if (tables !== null && added.length > 0) {
      this.backend.write(tables.pages, Uint32Array.from(added), head * this.#tableWidth + before);
    }
    const { pagesPerSlab } = this.#pool;
    const isKnown = (page: number): boolean => (this.#paged?.slabs[Math.floor(page / pagesPerSlab)] ?? null) !== null;
    if (added.length === 0 || this.#paged?.bounds[head] !== this.#boundOf(head) || !added.every(isKnown)) {
      this.#paged = null;
    }
  }

  #boundOf(head: number): number {
    const { pageSlots } = this.store.layout;
    const step = Math.max(1, Math.floor(SLOTS_PER_BOUND / pageSlots));
    const pages = Math.ceil(this.#kv.pages(head).length / step) * step;
    return Math.min(pages, this.#tableWidth) * pageSlots;
  }

  /** The pool's slabs, without those that only other sequences have pages in. */
  #slabs(): (DeviceTensor | null)[] {
    const { pagesPerSlab, slabs } = this.#pool;
    const numbers = new Set(
      this.lengths.flatMap((_, head) => this.#kv.pages(head).map((page) => Math.floor(page / pagesPerSlab))),
    );
    return slabs.map((slab, number) => (numbers.has(number) ? slab : null));
  }

  #columnRow(head: number, column: StoredColumn): number {
    return head * STORED_COLUMNS.length + STORED_COLUMNS.indexOf(column);
  }

  #writeColumnPages(row: number, pages: readonly number[], from: number): void {
    if (pages.length <= from) return;
    const { tensor, start } = this.#opened.columns;
    const [, columns = 0, width = 0] = tensor.shape;
    this.backend.write(tensor, Uint32Array.from(pages.slice(from)), (start * columns + row) * width + from);
  }

  get #opened(): LayerTables {
    if (this.#tables === null) throw new WinnowError("disposed", "a cache is used whose slots are not on the device");
    return this.#tables;
  }
}
