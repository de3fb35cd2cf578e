import type { SelectSpec } from "../backend";
import { selectSlots } from "../select-program";
import { u32Of } from "./cpu-tensor";
import { slotViews } from "./slot-views";

/** Run every head's program over its row of the table. */
export function select({ slots, headsPerLayer, programs, scores, now, firstRow, keep, kept }: SelectSpec): void {
  const bits = u32Of(keep).fill(0);
  const counts = u32Of(kept).fill(0);
  const words = keep.shape[1] ?? 0;
  selectSlots(slotViews(slots, now, firstRow), programs, scores, headsPerLayer).forEach((mask, row) => {
    mask.forEach((kept, slot) => {
      if (kept === 0) return;
      const word = row * words + (slot >> 5);
      bits[word] = (bits[word] ?? 0) | (1 << (slot & 31));
      counts[row] = (counts[row] ?? 0) + 1;
    });
  });
}
