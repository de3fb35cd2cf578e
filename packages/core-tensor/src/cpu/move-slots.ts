import { STORED_COLUMNS, type SelectSlots, type StoredColumn } from "../backend";
import type { DeviceTensor } from "../device-tensor";
import { wordsOf } from "./column-reader";
import { f32Of, u32Of } from "./cpu-tensor";
import type { PagedReader } from "./paged";

/** The statistics that go into the pages with the slots: a table's where it has them. */
export class SlotColumns {
  readonly #capacity: number;
  /** Bits of what the table has, by column: positions lie among floats. */
  readonly #columns: readonly (readonly [StoredColumn, Uint32Array | null])[];

  constructor(
    slots: SelectSlots,
    private readonly reader: PagedReader,
  ) {
    this.#capacity = slots.capacity;
    this.#columns = STORED_COLUMNS.map((name) => {
      if (slots.kind === "pages") return [name, null];
      if (name === "position") return [name, u32Of(slots.position)];
      const column = slots.columns[name];
      return [name, column === undefined ? null : wordsOf(f32Of(column))];
    });
  }

  /**
   * Set what a head stores beside slot `to` from column `from` of the table's row.
   *
   * @param stored the slot whose own statistics it takes where the table has none; without one they are 0.
   */
  write(head: number, to: number, row: number, from: number, stored: number | null): void {
    const { reader } = this;
    const entry = row * this.#capacity + from;
    for (const [name, values] of this.#columns) {
      if (!reader.hasColumn(head, name)) continue;
      const { slab, at } = reader.column(head, name, to);
      const words = wordsOf(slab);
      if (values !== null) words[at] = values[entry] ?? 0;
      else if (stored === null) words[at] = 0;
      else words[at] = words[reader.column(head, name, stored).at] ?? 0;
    }
  }
}

/** Whether a selection keeps a column of a row. */
export function keeps(keep: DeviceTensor, row: number, column: number): boolean {
  const words = keep.shape[1] ?? 0;
  return (((u32Of(keep)[row * words + (column >> 5)] ?? 0) >>> (column & 31)) & 1) === 1;
}
