import { WinnowError } from "./errors";

/** What becomes of a slab: its first page was taken, or its last one came back. */
export interface SlabListener {
  slabNeeded(slab: number): void;
  slabEmpty(slab: number): void;
}

/**
 * A pure allocator of page numbers. Pages are numbered slab by slab. The lowest free page of the slabs that exist is taken
 * first, and the lowest slab is made when they are full: so there are few slabs, and high ones drain and can be destroyed.
 * It holds no storage: its listener does.
 *
 * @example
 * ```ts
 * const pool = new PagePool(64, { slabNeeded: (s) => makeBuffer(s), slabEmpty: (s) => destroyBuffer(s) });
 * const page = pool.allocate(); // 0, after slabNeeded(0)
 * pool.free(page);              // slabEmpty(0)
 * ```
 */
export class PagePool {
  /** By number; null where a slab does not exist. */
  readonly #slabs: (PagesOfSlab | null)[] = [];
  #live = 0;
  /** No slab below this one exists and has a free page. */
  #firstOpen = 0;

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
    return this.#slabs.reduce((slabs, slab) => slabs + (slab === null ? 0 : 1), 0);
  }

  /** The slabs that would be made if so many pages were taken now, in ascending order. */
  slabsFor(pages: number): number[] {
    let missing = pages - (this.liveSlabs * this.pagesPerSlab - this.#live);
    const made: number[] = [];
    for (let slab = 0; missing > 0; slab++) {
      if ((this.#slabs[slab] ?? null) !== null) continue;
      made.push(slab);
      missing -= this.pagesPerSlab;
    }
    return made;
  }

  /** Take a page. If the listener throws (no memory for a new slab), nothing has changed. */
  allocate(): number {
    const [number, slab] = this.#openSlab() ?? this.#newSlab();
    this.#firstOpen = number;
    this.#live++;
    return number * this.pagesPerSlab + slab.take();
  }

  /** @throws WinnowError `range` when the page is not in use. */
  free(page: number): void {
    const number = Math.floor(page / this.pagesPerSlab);
    const slab = this.#slabs[number] ?? null;
    if (slab?.giveBack(page % this.pagesPerSlab) !== true) {
      throw new WinnowError("range", `page ${page} is freed but not in use`);
    }
    this.#live--;
    this.#firstOpen = Math.min(this.#firstOpen, number);
    if (slab.count > 0) return;
    this.#slabs[number] = null;
    this.listener.slabEmpty(number);
  }

  #openSlab(): [number, PagesOfSlab] | null {
    for (let number = this.#firstOpen; number < this.#slabs.length; number++) {
      const slab = this.#slabs[number] ?? null;
      if (slab !== null && slab.count < this.pagesPerSlab) return [number, slab];
    }
    return null;
  }

  #newSlab(): [number, PagesOfSlab] {
    const missing = this.#slabs.indexOf(null);
    const number = missing < 0 ? this.#slabs.length : missing;
    this.listener.slabNeeded(number);
    const slab = new PagesOfSlab();
    this.#slabs[number] = slab;
    return [number, slab];
  }
}

/** Which pages of a slab are taken. */
class PagesOfSlab {
  /** Pages in use. */
  count = 0;
  /** Bit p is set while page p is taken; a bit set so that the lowest free page is found by words. */
  readonly #taken: number[] = [];
  /** No word below this one has a free page. */
  #firstOpenWord = 0;

  /** Take the lowest free page. */
  take(): number {
    let word = this.#firstOpenWord;
    while (this.#taken[word] === 0xffffffff) word++;
    const used = this.#taken[word] ?? 0;
    const bit = 31 - Math.clz32(~used & -~used);
    this.#taken[word] = (used | (1 << bit)) >>> 0;
    this.#firstOpenWord = word;
    this.count++;
    return word * 32 + bit;
  }

  /** @returns whether it was taken. */
  giveBack(page: number): boolean {
    const word = page >> 5;
    const used = this.#taken[word] ?? 0;
    const mask = 1 << (page & 31);
    if ((used & mask) === 0) return false;
    this.#taken[word] = (used & ~mask) >>> 0;
    this.#firstOpenWord = Math.min(this.#firstOpenWord, word);
    this.count--;
    return true;
  }
}
