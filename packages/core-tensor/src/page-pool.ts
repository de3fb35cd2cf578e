import { WinnowError } from "./errors";

/** What becomes of a slab: its first page was taken, or its last one came back. */
export interface SlabListener {
  slabNeeded(slab: number): void;
  slabEmpty(slab: number): void;
}

/**
 * A pure allocator of page numbers. Pages are numbered slab by slab; the lowest free page is always taken
 * first, so that high slabs drain and can be destroyed. It holds no storage: its listener does.
 *
 * @example
 * ```ts
 * const pool = new PagePool(64, { slabNeeded: (s) => makeBuffer(s), slabEmpty: (s) => destroyBuffer(s) });
 * const page = pool.allocate(); // 0, after slabNeeded(0)
 * pool.free(page);              // slabEmpty(0)
 * ```
 */
export class PagePool {
  /** Bit p is set while page p is taken; a bit set so that the lowest free page is found by words. */
  readonly #taken: number[] = [];
  readonly #slabPages: number[] = [];
  #live = 0;
  /** No word below this one has a free page. */
  #firstOpenWord = 0;

  constructor(
    readonly pagesPerSlab: number,
    private readonly listener: SlabListener,
  ) {
    if (!Number.isInteger(pagesPerSlab) || pagesPerSlab < 1) {
      throw new WinnowError("range", `a slab of ${pagesPerSlab} pages: expected a whole number of at least 1`);
    }
  }

  /** Pages in use. */
  get livePages(): number {
    return this.#live;
  }

  /** Slabs that exist, that is, that hold at least one page in use. */
  get liveSlabs(): number {
    return this.#slabPages.reduce((slabs, pages) => slabs + (pages > 0 ? 1 : 0), 0);
  }

  /** Take the lowest free page. If the listener throws (no memory for a new slab), nothing has changed. */
  allocate(): number {
    let word = this.#firstOpenWord;
    while (this.#taken[word] === 0xffffffff) word++;
    const used = this.#taken[word] ?? 0;
    const bit = 31 - Math.clz32(~used & -~used);
    const page = word * 32 + bit;
    const slab = Math.floor(page / this.pagesPerSlab);
    const inSlab = this.#slabPages[slab] ?? 0;
    if (inSlab === 0) this.listener.slabNeeded(slab);
    this.#slabPages[slab] = inSlab + 1;
    this.#taken[word] = (used | (1 << bit)) >>> 0;
    this.#firstOpenWord = word;
    this.#live++;
    return page;
  }

  /** @throws WinnowError `range` when the page is not in use. */
  free(page: number): void {
    const word = page >> 5;
    const used = this.#taken[word] ?? 0;
    const mask = 1 << (page & 31);
    if ((used & mask) === 0) throw new WinnowError("range", `page ${page} is freed but not in use`);
    this.#taken[word] = (used & ~mask) >>> 0;
    this.#firstOpenWord = Math.min(this.#firstOpenWord, word);
    this.#live--;
    const slab = Math.floor(page / this.pagesPerSlab);
    const left = (this.#slabPages[slab] ?? 0) - 1;
    this.#slabPages[slab] = left;
    if (left === 0) this.listener.slabEmpty(slab);
  }
}
