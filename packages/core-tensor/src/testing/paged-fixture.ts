import { NO_PAGE, STORED_COLUMNS, type KvScratch, type PagedKv, type PagedSlots, type StoredColumn } from "../backend";
import { rows, type DeviceTensor } from "../device-tensor";
import { at, randoms, shuffled, type Fixture } from "./fixture";

/** One kept slot as a test thinks of it. */
export interface Slot {
  readonly key: readonly number[];
  readonly value: readonly number[];
  readonly position: number;
  /** What the head stores beside it; a column that is not there reads as 0. */
  readonly columns: Readonly<Partial<Record<StoredColumn, number>>>;
}

/** The slots of one KV head, and the columns that it stores. */
export interface Head {
  readonly slots: readonly Slot[];
  readonly columns: readonly StoredColumn[];
}

export interface PageOptions {
  readonly headDim: number;
  readonly pageSlots: number;
  /** Slots that each head has pages for. */
  readonly capacity: number;
  /** Orders the pages at random over the slabs; a cache's pages are rarely neighbours. */
  readonly seed: number;
  /** Whether the newest row's weights have still to be added; they have not. */
  readonly pending?: boolean;
}

const PAGES_PER_SLAB = 3;

/**
 * Random slots at positions 0, 1, …; a cache holds them exactly: one in q4 where heads are of 32 elements or a multiple, one of
 * any other type where they are not.
 */
export function randomSlots(seed: number, count: number, headDim: number): Slot[] {
  const { group, most } = headDim % 32 === 0 ? { group: 32, most: 7 } : { group: headDim, most: 127 };
  // Whole numbers times 1/(most + 1); one of each group is the greatest, which makes that its scale. None is -0.
  const numbers = randoms(seed, count * headDim * 2).map((value, i) => {
    const whole = (i + seed) % group === 0 ? most * Math.sign(value) : Math.round(value * most) + 0;
    return whole / (most + 1);
  });
  return Array.from({ length: count }, (_, i) => ({
    key: Array.from(numbers.subarray(2 * i * headDim, (2 * i + 1) * headDim)),
    value: Array.from(numbers.subarray((2 * i + 1) * headDim, (2 * i + 2) * headDim)),
    position: i,
    columns: {},
  }));
}

/** A paged cache with these contents, its pages scattered over slabs, with a slab that does not exist among them. */
export class PagedFixture {
  readonly kv: PagedKv;
  readonly #counts: readonly number[];
  readonly #table: readonly (readonly number[])[];
  /** By head and column, pages; null where the head has no such column. */
  readonly #columnTable: readonly (readonly (readonly number[] | null)[])[];

  constructor(
    private readonly fixture: Fixture,
    heads: readonly Head[],
    private readonly options: PageOptions,
  ) {
    const { headDim, pageSlots, capacity, seed } = options;
    const pages = Math.max(1, Math.ceil(capacity / pageSlots));
    // The first slab stays empty, as one does whose pages were all freed.
    const order = shuffled(seed, heads.length * pages).map((page) => page + PAGES_PER_SLAB);
    this.#counts = heads.map(({ slots }) => slots.length);
    this.#table = heads.map((_, head) => order.slice(head * pages, (head + 1) * pages));
    let nextColumnPage = 1;
    this.#columnTable = heads.map(({ columns }) =>
      STORED_COLUMNS.map((name) =>
        columns.includes(name) ? Array.from({ length: pages }, () => nextColumnPage++) : null,
      ),
    );

    const slabs = Math.ceil((heads.length * pages + PAGES_PER_SLAB) / PAGES_PER_SLAB);
    const pageSize = 2 * pageSlots * headDim;
    // Pages were used before: what is left in them must not show.
    const data = Array.from({ length: slabs }, () => new Float32Array(PAGES_PER_SLAB * pageSize).fill(99));
    const columnData = new Float32Array((nextColumnPage + 1) * pageSlots).fill(99);
    const columnWords = new Uint32Array(columnData.buffer);
    heads.forEach(({ slots }, head) => {
      slots.forEach((slot, s) => {
        const { slab, key, value } = this.#place(head, s);
        at(data, slab).set(slot.key, key);
        at(data, slab).set(slot.value, value);
        STORED_COLUMNS.forEach((name, column) => {
          const place = this.#columnPlace(head, column, s);
          if (place === null) return;
          if (name === "position") columnWords[place] = slot.position;
          else columnData[place] = slot.columns[name] ?? 0;
        });
      });
    });

    this.kv = {
      slabs: data.map((values, slab) =>
        slab === 0 ? null : fixture.kv([PAGES_PER_SLAB, 2, pageSlots, headDim], values),
      ),
      pagesPerSlab: PAGES_PER_SLAB,
      pageSlots,
      table: fixture.u32([heads.length, pages], this.#table.flat()),
      lengths: fixture.u32(
        [heads.length],
        heads.map(({ slots }) => slots.length),
      ),
      bounds: heads.map(() => pages * pageSlots),
      columns: fixture.f32([nextColumnPage + 1, pageSlots], columnData),
      columnTable: rows(
        fixture.u32(
          [heads.length, STORED_COLUMNS.length, pages],
          this.#columnTable.flat().flatMap((row) => row ?? Array.from({ length: pages }, () => NO_PAGE)),
        ),
      ),
      pending: options.pending ?? false,
    };
  }

  /**
   * The slots as a selection sees them.
   *
   * @param capacity of a row of what is selected.
   * @param before rows without slots before the first head's; they are not in the column table.
   */
  slots(capacity: number, before = 0, flags: readonly number[] = []): PagedSlots {
    const { columns, columnTable, pageSlots, pending } = this.kv;
    const counts = [...new Array<number>(before).fill(0), ...this.#counts];
    return {
      kind: "pages",
      rowCount: counts.length,
      capacity,
      counts,
      flags: this.fixture.u32([Math.max(1, flags.length)], flags.length === 0 ? [0] : flags),
      pageSlots,
      columns,
      columnTable: columnTable.tensor,
      pending,
    };
  }

  /** What the cache holds now. */
  async read(): Promise<Head[]> {
    const lengths = await this.fixture.read(this.kv.lengths);
    const { headDim } = this.options;
    const slabs = await this.#download(this.kv.slabs, headDim);
    const [columnData = new Float32Array(0)] = await this.#download([this.kv.columns], null);
    const columnWords = new Uint32Array(columnData.buffer, columnData.byteOffset, columnData.length);
    return this.#columnTable.map((columns, head) => ({
      columns: STORED_COLUMNS.filter((_, column) => columns[column] !== null),
      slots: Array.from({ length: at(lengths, head) }, (_, s) => {
        const { slab, key, value } = this.#place(head, s);
        const data = at(slabs, slab);
        const entries = STORED_COLUMNS.map((name, column) => [name, this.#columnPlace(head, column, s)] as const);
        const position = entries[0]?.[1] ?? null;
        return {
          key: Array.from(data.subarray(key, key + headDim)),
          value: Array.from(data.subarray(value, value + headDim)),
          position: position === null ? s : at(columnWords, position),
          columns: Object.fromEntries(
            entries.flatMap(([name, place]) =>
              name === "position" || place === null ? [] : [[name, at(columnData, place)]],
            ),
          ),
        };
      }),
    }));
  }

  /** @param headDim of keys and values; null for columns, which are f32 whatever the cache's type. */
  async #download(slabs: readonly (DeviceTensor | null)[], headDim: number | null): Promise<Float32Array[]> {
    const found: Float32Array[] = [];
    for (const slab of slabs) {
      found.push(slab === null ? new Float32Array(0) : await this.fixture.readFloats(slab, headDim));
    }
    return found;
  }

  #place(head: number, slot: number): { readonly slab: number; readonly key: number; readonly value: number } {
    const { headDim, pageSlots } = this.options;
    const page = at(at(this.#table, head), Math.floor(slot / pageSlots));
    const key = ((page % PAGES_PER_SLAB) * 2 * pageSlots + (slot % pageSlots)) * headDim;
    return { slab: Math.floor(page / PAGES_PER_SLAB), key, value: key + pageSlots * headDim };
  }

  /** Number of a slot's entry among those of the columns. */
  #columnPlace(head: number, column: number, slot: number): number | null {
    const { pageSlots } = this.options;
    const pages = at(at(this.#columnTable, head), column);
    return pages === null ? null : at(pages, Math.floor(slot / pageSlots)) * pageSlots + (slot % pageSlots);
  }
}

/** Scratch that holds the slots of each head from row 0 on, and is larger than it has to be. */
export function scratchOf(
  fixture: Fixture,
  heads: readonly (readonly Slot[])[],
  headDim: number,
  capacity?: number,
): KvScratch {
  const room = capacity ?? Math.max(...heads.map((slots) => slots.length)) + 2;
  const fill = (of: (slot: Slot) => readonly number[]): Float32Array => {
    const data = new Float32Array(heads.length * room * headDim);
    heads.forEach((slots, head) => {
      slots.forEach((slot, s) => {
        data.set(of(slot), (head * room + s) * headDim);
      });
    });
    return data;
  };
  return {
    k: fixture.scratch(
      [heads.length, room, headDim],
      fill((slot) => slot.key),
    ),
    v: fixture.scratch(
      [heads.length, room, headDim],
      fill((slot) => slot.value),
    ),
  };
}
