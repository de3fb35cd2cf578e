import type { AttendGroup, KvScratch } from "../backend";
import { f32Of } from "./cpu-tensor";
import type { PagedReader } from "./paged";

/** Keys that lie one behind the other, and from which column of the scores on they count. */
export interface KeyRun {
  readonly keys: Float32Array;
  readonly k: number;
  readonly values: Float32Array;
  readonly v: number;
  readonly count: number;
  readonly column: number;
}

/** The longest run: its keys stay in the nearest cache while all rows of a tile use them; a multiple of what `dots` takes. */
const MAX_RUN = 252;

/** What the rows of a group see of one head: a first part of the columns, which grows from row to row or does not. */
export interface Visible {
  readonly runs: readonly KeyRun[];
  /** Columns that the group's first row sees. */
  readonly first: number;
  /** Columns that each further row sees beyond the one before. */
  readonly growth: 0 | 1;
}

/** The position of each column, counted from the group's first row: below 0 for those before it. */
export function distances(group: AttendGroup, paged: PagedReader | null, head: number): Int32Array {
  const { position = 0, context, own, count } = group;
  const kept = paged?.lengths[head] ?? 0;
  const before = context?.count ?? 0;
  const ownStart = own?.start ?? 0;
  return Int32Array.from({ length: kept + before + (own === undefined ? 0 : count) }, (_, column) => {
    if (column < kept) return (paged?.position(head, column) ?? column) - position;
    const row = column - kept;
    return row < before ? (context?.start ?? 0) + row - ownStart : row - before;
  });
}

/** All keys that any row of the group sees, in the order paged, context, own. */
export function visibleKeys(group: AttendGroup, paged: PagedReader | null, head: number, headDim: number): Visible {
  const runs: KeyRun[] = [];
  let column = 0;
  for (const run of paged?.runs(head) ?? []) {
    runs.push({ keys: run.slab, k: run.k, values: run.slab, v: run.v, count: run.count, column });
    column += run.count;
  }
  const addScratch = (scratch: KvScratch, start: number, count: number): void => {
    const keys = f32Of(scratch.k);
    const values = f32Of(scratch.v);
    const first = (head * (scratch.k.shape[1] ?? 0) + start) * headDim;
    for (let i = 0; i < count; i += MAX_RUN) {
      const place = first + i * headDim;
      const length = Math.min(MAX_RUN, count - i);
      runs.push({ keys, k: place, values, v: place, count: length, column });
      column += length;
    }
  };
  if (group.context !== undefined) addScratch(group.context.scratch, group.context.start, group.context.count);
  if (group.own !== undefined) addScratch(group.own.scratch, group.own.start, group.count);
  const appended = group.paged?.appended ?? 0;
  // Rows whose keys are among the columns hide those of the rows behind them.
  const hidden = appended > 0 ? appended - 1 : group.own !== undefined ? group.count - 1 : 0;
  return { runs, first: Math.max(0, column - hidden), growth: appended > 0 || group.own !== undefined ? 1 : 0 };
}
