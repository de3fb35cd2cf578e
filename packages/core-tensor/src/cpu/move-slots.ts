import { STORED_COLUMNS, type SlotTable } from "../backend";
import type { DeviceTensor } from "../device-tensor";
import { f32Of, u32Of } from "./cpu-tensor";
import type { PagedReader } from "./paged";

/** The columns of a slot table that go into the pages with the slots. */
export class SlotColumns {
  readonly #position: Uint32Array;
  readonly #columns: readonly (readonly [(typeof STORED_COLUMNS)[number], Float32Array])[];

  constructor(private readonly slots: SlotTable) {
    this.#position = u32Of(slots.position);
    this.#columns = STORED_COLUMNS.flatMap((name) => {
      const column = slots.columns[name];
      return name === "position" || column === undefined ? [] : [[name, f32Of(column)] as const];
    });
  }

  /** Set what a head stores beside slot `to` from column `from` of the table's row. */
  write(reader: PagedReader, head: number, to: number, row: number, from: number): void {
    const at = row * this.slots.capacity + from;
    if (reader.hasColumn(head, "position")) reader.setPosition(head, to, this.#position[at] ?? 0);
    for (const [name, values] of this.#columns) {
      if (!reader.hasColumn(head, name)) continue;
      const place = reader.column(head, name, to);
      place.slab[place.at] = values[at] ?? 0;
    }
  }
}

/** Whether a selection keeps a column of a row. */
export function keeps(keep: DeviceTensor, row: number, column: number): boolean {
  const words = keep.shape[1] ?? 0;
  return (((u32Of(keep)[row * words + (column >> 5)] ?? 0) >>> (column & 31)) & 1) === 1;
}
