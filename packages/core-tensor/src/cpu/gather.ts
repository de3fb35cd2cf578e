import type { GatherSpec } from "../backend";
import { checkGather } from "../move-check";
import { f32Of, u32Of } from "./cpu-tensor";
import { keeps, SlotColumns } from "./move-slots";
import { PagedReader } from "./paged";

/** Copy the kept scratch rows of each head behind its kept slots, with the table's columns; those it lacks are 0. */
export function gather(spec: GatherSpec): void {
  const { heads, scratch, start, count, paged, slots, keep, firstRow } = spec;
  const { kvHeads, headDim } = heads;
  const counts = u32Of(slots.counts);
  checkGather(spec, counts);
  const reader = new PagedReader(paged, headDim);
  const columns = new SlotColumns(slots, reader);
  const keys = f32Of(scratch.k);
  const values = f32Of(scratch.v);
  const capacity = scratch.k.shape[1] ?? 0;
  for (let head = 0; head < kvHeads; head++) {
    const row = firstRow + head;
    // The table's row holds the slots as they were before a compaction, then the scratch rows.
    const firstColumn = (counts[row] ?? 0) - count;
    let to = reader.lengths[head] ?? 0;
    for (let i = 0; i < count; i++) {
      if (!keeps(keep, row, firstColumn + i)) continue;
      const from = (head * capacity + start + i) * headDim;
      reader.put(head, to, keys, from, values, from);
      columns.write(head, to, row, firstColumn + i, null);
      to++;
    }
    reader.lengths[head] = to;
  }
}
