import type { SelectSpec } from "../backend";
import { WinnowError } from "../errors";
import { columnsOf } from "../expr";
import { selectSlots } from "../select-program";
import { expectShape } from "../shape";
import { u32Of } from "./cpu-tensor";
import { pageViews, slotViews } from "./slot-views";

/** Run every head's program over its slots. */
export function select({ slots, headsPerLayer, programs, scores, now, firstRow, keep, kept }: SelectSpec): void {
  expectShape("select", "keep", keep.shape, [slots.rowCount, Math.ceil(slots.capacity / 32)]);
  expectShape("select", "kept", kept.shape, [slots.rowCount]);
  if (programs.length !== slots.rowCount) {
    throw new WinnowError("shape", `select: ${programs.length} programs for ${slots.rowCount} rows; give one a row`);
  }
  const bits = u32Of(keep).fill(0);
  const counts = u32Of(kept).fill(0);
  const words = keep.shape[1] ?? 0;
  const views =
    slots.kind === "table"
      ? slotViews(slots, now, firstRow)
      : pageViews(slots, new Set(scores.flatMap(columnsOf)), now, firstRow);
  selectSlots(views, programs, scores, headsPerLayer).forEach((mask, row) => {
    mask.forEach((kept, slot) => {
      if (kept === 0) return;
      const word = row * words + (slot >> 5);
      bits[word] = (bits[word] ?? 0) | (1 << (slot & 31));
      counts[row] = (counts[row] ?? 0) + 1;
    });
  });
}
