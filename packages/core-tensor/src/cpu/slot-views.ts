import type { SlotTable } from "../backend";
import type { SlotView } from "../slot-view";
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
