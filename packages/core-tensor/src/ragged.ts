import { WinnowError } from "./errors";
import type { PagePool } from "./page-pool";

/**
 * The index side of a ragged tensor: rows of different lengths, each a list of fixed-size pages from one pool.
 * A KV cache is one with a row per KV head for each layer.
 *
 * @example
 * ```ts
 * const ragged = new RaggedRows(pool, 4, 16); // 4 rows, 16 slots a page
 * ragged.resize(2, 20);                       // row 2 now holds two pages
 * ragged.pages(2);                            // [0, 1]
 * ```
 */
export class RaggedRows implements Disposable {
  readonly #pages: number[][];
  readonly #lengths: number[];

  constructor(
    private readonly pool: PagePool,
    readonly rowCount: number,
    readonly slotsPerPage: number,
  ) {
    this.#pages = Array.from({ length: rowCount }, () => []);
    this.#lengths = new Array<number>(rowCount).fill(0);
  }

  pages(row: number): readonly number[] {
    return this.#row(row);
  }

  length(row: number): number {
    this.#row(row);
    return this.#lengths[row] ?? 0;
  }

  /** Pages of all rows together. */
  get pageCount(): number {
    return this.#pages.reduce((sum, pages) => sum + pages.length, 0);
  }

  /**
   * Set a row's length, taking pages or giving spare ones back. If the pool cannot grow, the row is unchanged.
   *
   * @returns whether the row's list of pages changed.
   */
  resize(row: number, length: number): boolean {
    const pages = this.#row(row);
    if (!Number.isInteger(length) || length < 0) {
      throw new WinnowError("range", `row ${row}: a length of ${length} is not a whole number of at least 0`);
    }
    const before = pages.length;
    const needed = Math.ceil(length / this.slotsPerPage);
    try {
      while (pages.length < needed) pages.push(this.pool.allocate());
    } catch (error) {
      this.#trim(pages, before);
      throw error;
    }
    this.#trim(pages, needed);
    this.#lengths[row] = length;
    return pages.length !== before;
  }

  [Symbol.dispose](): void {
    for (let row = 0; row < this.rowCount; row++) this.resize(row, 0);
  }

  #trim(pages: number[], count: number): void {
    while (pages.length > count) {
      const page = pages.pop();
      if (page !== undefined) this.pool.free(page);
    }
  }

  #row(row: number): number[] {
    const pages = this.#pages[row];
    if (pages === undefined) {
      throw new WinnowError("range", `row ${row} of a ragged tensor of ${this.rowCount} rows`);
    }
    return pages;
  }
}
