import { PagePool, bytesOf, rows, type Backend, type DeviceTensor } from "@winnow/core-tensor";

import type { KvBudget } from "./kv-budget";
import type { PagePlace } from "./slab-pool";

/** Pages by which the buffer grows and shrinks. */
const PAGES_PER_CHUNK = 256;
/** It grows by a quarter at least, so that a growing cache is copied seldom. */
const GROWTH = 1.25;
/** It shrinks when less than this is in use, so that a cache about a boundary is not copied at every sweep. */
const SHRINKS_BELOW = 0.6;

/**
 * Pages of what heads store beside their slots: those of all layers and sequences in one buffer, so that one dispatch
 * finds them all. It grows by being copied, and shrinks when its end is no longer in use.
 */
export class ColumnPool implements Disposable {
  readonly pages: PagePool;
  /** Chunks with a page in use. */
  readonly #live: boolean[] = [];
  #buffer: DeviceTensor | null = null;
  #chunks = 0;

  constructor(
    private readonly backend: Backend,
    private readonly pageSlots: number,
    budget: KvBudget,
  ) {
    this.pages = new PagePool(PAGES_PER_CHUNK, {
      slabNeeded: (chunk) => {
        if (chunk >= this.#chunks) {
          const chunks = grown(this.#chunks, chunk);
          budget.expectRoom(this.#bytesOf(chunks));
          this.#resize(chunks);
        }
        this.#live[chunk] = true;
      },
      slabEmpty: (chunk) => {
        this.#live[chunk] = false;
        // For a moment there are both.
        const shrinks = this.#used < this.#chunks * SHRINKS_BELOW && budget.fits(this.#bytesOf(this.#used));
        if (shrinks) this.#resize(this.#used);
      },
    });
  }

  /** f32 [pages, pageSlots]; null where there are none. Another one after a page was taken or given back. */
  get buffer(): DeviceTensor | null {
    return this.#buffer;
  }

  get pageBytes(): number {
    return bytesOf("f32", this.pageSlots);
  }

  /** Bytes of the buffer that exists. */
  get reservedBytes(): number {
    return this.#buffer?.bytes ?? 0;
  }

  /** The most bytes that there would be beside today's buffer while so many pages were taken now. */
  bytesFor(pages: number): number {
    let most = 0;
    let chunks = this.#chunks;
    for (const chunk of this.pages.slabsFor(pages)) {
      if (chunk < chunks) continue;
      const more = grown(chunks, chunk);
      most = Math.max(most, chunks + more - this.#chunks);
      chunks = more;
    }
    return this.#bytesOf(most);
  }

  /** Where some pages lie. */
  locate(pages: readonly number[]): PagePlace[] {
    const slab = this.#buffer;
    return slab === null ? [] : pages.map((page) => ({ slab, offset: page * this.pageSlots }));
  }

  [Symbol.dispose](): void {
    this.#buffer?.[Symbol.dispose]();
    this.#buffer = null;
  }

  /** Chunks up to the last one in use. */
  get #used(): number {
    return this.#live.lastIndexOf(true) + 1;
  }

  #bytesOf(chunks: number): number {
    return chunks * PAGES_PER_CHUNK * this.pageBytes;
  }

  #resize(chunks: number): void {
    const before = this.#buffer;
    this.#buffer =
      chunks === 0
        ? null
        : this.backend.allocate("f32", [chunks * PAGES_PER_CHUNK, this.pageSlots], {
            label: "kv.columns",
            category: "kv",
          });
    this.#chunks = chunks;
    if (before === null) return;
    if (this.#buffer !== null) {
      const pages = Math.min(before.shape[0] ?? 0, this.#buffer.shape[0] ?? 0);
      this.backend.copy(rows(before, 0, pages), rows(this.#buffer, 0, pages));
    }
    before[Symbol.dispose]();
  }
}

/** Chunks of a buffer that is to have one of this number. */
function grown(chunks: number, chunk: number): number {
  return Math.max(chunk + 1, Math.ceil(chunks * GROWTH));
}
