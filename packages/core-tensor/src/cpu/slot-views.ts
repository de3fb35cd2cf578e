import { STORED_COLUMNS, type PagedSlots, type SlotTable, type StoredColumn } from "../backend";
import type { SlotView } from "../slot-view";
import { ColumnReader } from "./column-reader";
import { f32Of, u32Of } from "./cpu-tensor";

/**
 * Rows of a slot table as the views that policies are defined on.
 *
 * @param firstRow number of the table's first row over all layers
 */
export function slotViews(slots: SlotTable, now: number, firstRow: number): SlotView[] {
  const counts = u32Of(slots.counts);
  return Array.from({ length: slots.rowCount }, (_, row) => {
    const start = row * slots.capacity;
    const end = start + slots.capacity;
    return {
      row: firstRow + row,
      count: counts[row] ?? 0,
      now,
      position: u32Of(slots.position).subarray(start, end),
      flags: u32Of(slots.flags).subarray(start, end),
      columns: Object.fromEntries(
        Object.entries(slots.columns).map(([name, tensor]) => [name, f32Of(tensor).subarray(start, end)]),
      ),
    };
  });
}

/**
 * The same of slots in pages.
 *
 * @param names columns that are read.
 */
export function pageViews(slots: PagedSlots, names: ReadonlySet<string>, now: number, firstRow: number): SlotView[] {
  const reader = new ColumnReader({
    ...slots,
    table: u32Of(slots.columnTable),
    tableWidth: slots.columnTable.shape[2] ?? 0,
  });
  const flags = u32Of(slots.flags);
  const stored = STORED_COLUMNS.filter((name) => name !== "position" && names.has(name));
  return Array.from({ length: slots.rowCount }, (_, row) => {
    const count = slots.counts[row] ?? 0;
    const position = Uint32Array.from({ length: count }, (__, slot) => reader.position(row, slot));
    const column = (name: StoredColumn): Float32Array =>
      Float32Array.from({ length: count }, (__, slot) => reader.stored(row, name, slot));
    return {
      row: firstRow + row,
      count,
      now,
      position,
      flags: position.map((at) => flags[at] ?? 0),
      columns: Object.fromEntries(stored.map((name) => [name, column(name)])),
    };
  });
}
