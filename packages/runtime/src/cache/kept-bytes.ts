import { kvRowBytes, type StoredColumn } from "@winnow/core-tensor";

import type { KvLayout } from "./kv-store";

/** What a target counts: keys and values as f16 unless they are stored in less, whatever is stored in more. */
function slotBytes({ kvType, heads }: KvLayout): number {
  return 2 * kvRowBytes(kvType === "f32" ? "f16" : kvType, heads.headDim);
}

/** Bytes of a head's kept slots with their columns, without what pages leave empty. */
export function keptBytes(layout: KvLayout, slots: number, columns: readonly StoredColumn[]): number {
  return slots * (slotBytes(layout) + 4 * columns.length);
}

/** What the full cache's slots take, in layers with a window those that its rows see. */
export function fullSlotBytes(layout: KvLayout, tokens: number): number {
  const slots = layout.windows.reduce<number>((sum, window) => sum + Math.min(tokens, window ?? Infinity), 0);
  return slots * layout.heads.kvHeads * slotBytes({ ...layout, kvType: "f16" });
}
