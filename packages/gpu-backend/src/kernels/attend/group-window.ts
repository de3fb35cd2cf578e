import type { AttendGroup, AttendSpec } from "@winnow/core-tensor";

/** The window of a group and the position of its first row; null where every row sees everything. */
export type GroupWindow = { readonly size: number; readonly position: number } | null;

/** The window, unless it reaches back to the first position from every row. */
export function windowOf({ window }: AttendSpec, { position, count }: AttendGroup): GroupWindow {
  return window === undefined || position === undefined || position + count <= window
    ? null
    : { size: window, position };
}
