import type { CompactSpec, GatherSpec } from "./backend";
import type { DeviceTensor } from "./device-tensor";
import { WinnowError } from "./errors";
import { expectShape } from "./shape";

/**
 * What every CPU engine checks of a `gather` before it begins.
 *
 * @param counts columns of each row of the table.
 * @throws WinnowError `shape` or `range` when operands do not fit together, or rows are asked for that are not there.
 */
export function checkGather(
  { heads, scratch, start, count, slots, keep, firstRow }: GatherSpec,
  counts: Uint32Array,
): void {
  const { kvHeads, headDim } = heads;
  const capacity = scratch.k.shape[1] ?? 0;
  expectShape("gather", "scratch keys", scratch.k.shape, [kvHeads, null, headDim]);
  expectShape("gather", "scratch values", scratch.v.shape, [kvHeads, capacity, headDim]);
  if (start < 0 || count < 0 || start + count > capacity) {
    throw new WinnowError("range", `gather: rows ${start} to ${start + count} lie outside the scratch's ${capacity}`);
  }
  expectKeep("gather", keep, firstRow, kvHeads, slots.capacity);
  for (let row = firstRow; row < firstRow + kvHeads; row++) {
    const columns = counts[row] ?? 0;
    if (columns >= count && columns <= slots.capacity) continue;
    throw new WinnowError(
      "range",
      `gather: row ${row} of the table has ${columns} columns, expected from ${count}, the rows of scratch, to ${slots.capacity}`,
    );
  }
}

/**
 * The same of a `compact`.
 *
 * @param lengths slots of each head.
 */
export function checkCompact({ heads, keep, firstRow }: CompactSpec, lengths: Uint32Array): void {
  expectKeep("compact", keep, firstRow, heads.kvHeads, Math.max(0, ...lengths));
}

function expectKeep(operation: string, keep: DeviceTensor, firstRow: number, rows: number, columns: number): void {
  const [most = 0, words = 0] = keep.shape;
  if (firstRow >= 0 && firstRow + rows <= most && columns <= 32 * words) return;
  throw new WinnowError(
    "range",
    `${operation}: "${keep.label}" has ${most} rows of ${32 * words} bits, and rows ${firstRow} to ${firstRow + rows} of ${columns} are asked for`,
  );
}
