import {
  PagePool,
  WinnowError,
  bytesOf,
  elementCount,
  type Backend,
  type PlainType,
  type DeviceTensor,
  type Shape,
} from "@winnow/core-tensor";

import type { KvBudget } from "./kv-budget";

/** Where a page lies: its slab, and its first element there. */
export interface PagePlace {
  readonly slab: DeviceTensor;
  readonly offset: number;
}

/**
 * Pages that lie in slabs, each one buffer of the device. A slab exists while a page of it is in use: the
 * lowest fills first, and an empty one is destroyed.
 */
export class SlabPool implements Disposable {
  readonly pages: PagePool;
  readonly #slabs: (DeviceTensor | null)[] = [];

  /**
   * @param pageShape shape of one page; a slab is [pagesPerSlab, …pageShape].
   */
  constructor(
    backend: Backend,
    private readonly label: string,
    private readonly dtype: PlainType,
    private readonly pageShape: Shape,
    readonly pagesPerSlab: number,
    budget: KvBudget,
  ) {
    this.pages = new PagePool(pagesPerSlab, {
      slabNeeded: (slab) => {
        budget.expectRoom(this.#slabBytes);
        while (this.#slabs.length <= slab) this.#slabs.push(null);
        this.#slabs[slab] = backend.allocate(dtype, [pagesPerSlab, ...pageShape], {
          label: `${label}.slab${slab}`,
          category: "kv",
        });
      },
      slabEmpty: (slab) => {
        this.#slabs[slab]?.[Symbol.dispose]();
        this.#slabs[slab] = null;
      },
    });
  }

  /** The slabs by number; null where one does not exist. */
  get slabs(): readonly (DeviceTensor | null)[] {
    return this.#slabs;
  }

  get pageElements(): number {
    return elementCount(this.pageShape);
  }

  get pageBytes(): number {
    return bytesOf(this.dtype, this.pageElements);
  }

  /** Bytes of the buffers that exist. */
  get reservedBytes(): number {
    return this.#slabs.reduce((sum, slab) => sum + (slab?.bytes ?? 0), 0);
  }

  /** Bytes of the slabs that would be made if so many pages were taken now. */
  bytesFor(pages: number): number {
    return this.pages.slabsFor(pages).length * this.#slabBytes;
  }

  /** Where a page lies: its slab and its first element there. */
  locate(page: number): PagePlace {
    const slab = this.#slabs[Math.floor(page / this.pagesPerSlab)];
    if (slab === null || slab === undefined) {
      throw new WinnowError("range", `${this.label}: page ${page} lies in a slab that does not exist`);
    }
    return { slab, offset: (page % this.pagesPerSlab) * this.pageElements };
  }

  get #slabBytes(): number {
    return this.pagesPerSlab * this.pageBytes;
  }

  [Symbol.dispose](): void {
    for (const slab of this.#slabs) slab?.[Symbol.dispose]();
    this.#slabs.length = 0;
  }
}
