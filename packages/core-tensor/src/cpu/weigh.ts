import type { SelectSlots, WeighSpec } from "../backend";
import { expectShape } from "../shape";
import { ColumnReader } from "./column-reader";
import { f32Of, u32Of } from "./cpu-tensor";

/** Slots of a row, and what lies beside them in the column that is weighed. */
interface Weights {
  readonly count: (row: number) => number;
  readonly of: (row: number, slot: number) => number;
}

/** Add up a column over each head's slots: those that are not kept, and all. */
export function weigh({ slots, column, keep, sums }: WeighSpec): void {
  const words = Math.ceil(slots.capacity / 32);
  expectShape("weigh", "keep", keep.shape, [slots.rowCount, words]);
  expectShape("weigh", "sums", sums.shape, [slots.rowCount, 2]);
  const bits = u32Of(keep);
  const into = f32Of(sums);
  const weights = weightsOf(slots, column);
  for (let row = 0; row < slots.rowCount; row++) {
    let dropped = 0;
    let all = 0;
    for (let slot = 0; slot < weights.count(row); slot++) {
      const weight = weights.of(row, slot);
      const kept = ((bits[row * words + (slot >> 5)] ?? 0) >>> (slot & 31)) & 1;
      all += weight;
      if (kept === 0) dropped += weight;
    }
    into[2 * row] = dropped;
    into[2 * row + 1] = all;
  }
}

function weightsOf(slots: SelectSlots, column: WeighSpec["column"]): Weights {
  const { capacity } = slots;
  if (slots.kind === "table") {
    const counts = u32Of(slots.counts);
    const stored = slots.columns[column];
    const values = stored === undefined ? null : f32Of(stored);
    return {
      count: (row) => Math.min(counts[row] ?? 0, capacity),
      of: (row, slot) => values?.[row * capacity + slot] ?? 0,
    };
  }
  const reader = new ColumnReader({
    ...slots,
    table: u32Of(slots.columnTable),
    tableWidth: slots.columnTable.shape[2] ?? 0,
  });
  return {
    count: (row) => Math.min(slots.counts[row] ?? 0, capacity),
    of: (row, slot) => reader.stored(row, column, slot),
  };
}
