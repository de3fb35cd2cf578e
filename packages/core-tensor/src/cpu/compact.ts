import type { CompactSpec } from "../backend";
import { checkCompact } from "../move-check";
import { keeps, SlotColumns } from "./move-slots";
import { PagedReader } from "./paged";

/** Move the kept slots of each head down over the dropped ones, in order, with their columns: the table's, else their own. */
export function compact(spec: CompactSpec): void {
  const { heads, paged, slots, keep, firstRow } = spec;
  const { kvHeads, headDim } = heads;
  const reader = new PagedReader(paged, headDim);
  checkCompact(spec, reader.lengths);
  const columns = new SlotColumns(slots, reader);
  for (let head = 0; head < kvHeads; head++) {
    const row = firstRow + head;
    const length = reader.lengths[head] ?? 0;
    let to = 0;
    for (let from = 0; from < length; from++) {
      if (!keeps(keep, row, from)) continue;
      if (to !== from) reader.move(head, from, to);
      columns.write(head, to, row, from, from);
      to++;
    }
    reader.lengths[head] = to;
  }
}
