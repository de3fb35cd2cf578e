import { STORED_COLUMNS, type SlotTable, type StoredColumn } from "../backend";
import type { DeviceTensor } from "../device-tensor";
import { f32Of, u32Of } from "./cpu-tensor";
import type { PagedReader } from "./paged";

/** The statistics that go into the pages with the slots: a table's where it has them. */
export class SlotColumns {
  readonly #position: Uint32Array;
  readonly #columns: readonly (readonly [StoredColumn, Float32Array | null])[];

  constructor(
    private readonly slots: SlotTable,
    private readonly reader: PagedReader,
  ) {
    this.#position = u32Of(slots.position);
    this.#columns = STORED_COLUMNS.filter((name) => name !== "position").map((name) => {
      const column = slots.columns[name];
      return [name, column === undefined ? null : f32Of(column)];
    });
  }

  /**
   * Set what a head stores beside slot `to` from column `from` of the table's row.
   *
   * @param stored the slot whose own statistics it takes where the table has none; without one they are 0.
   */
  write(head: number, to: number, row: number, from: number, stored: number | null): void {
    const { reader } = this;
    const entry = row * this.slots.capacity + from;
    if (reader.hasColumn(head, "position")) reader.setPosition(head, to, this.#position[entry] ?? 0);
    for (const [name, values] of this.#columns) {
      if (!reader.hasColumn(head, name)) continue;
      const { slab, at } = reader.column(head, name, to);
      if (values !== null) slab[at] = values[entry] ?? 0;
      else if (stored === null) slab[at] = 0;
      else {
        const source = reader.column(head, name, stored);
        slab[at] = source.slab[source.at] ?? 0;
      }
    }
  }
}

/** Whether a selection keeps a column of a row. */
export function keeps(keep: DeviceTensor, row: number, column: number): boolean {
  const words = keep.shape[1] ?? 0;
  return (((u32Of(keep)[row * words + (column >> 5)] ?? 0) >>> (column & 31)) & 1) === 1;
}
