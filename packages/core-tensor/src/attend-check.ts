import type { AttendGroup, AttendRecord, AttendSpec, HeadShape, KvScratch } from "./backend";
import { WinnowError } from "./errors";
import { elementCount, expectShape } from "./shape";

/**
 * What every backend checks of an `attend` before it begins: all that can be known without the device's lengths.
 *
 * @throws WinnowError `shape` or `range` when operands do not fit together or rows are asked for that are not there.
 */
export function checkAttend({ heads, qkv, out, groups, record, softCap, window }: AttendSpec): void {
  const { queryHeads, kvHeads, headDim } = heads;
  if (queryHeads % kvHeads !== 0) {
    throw new WinnowError("shape", `attend: ${queryHeads} query heads do not divide among ${kvHeads} KV heads`);
  }
  expectShape("attend", "qkv", qkv.tensor.shape, [null, (queryHeads + 2 * kvHeads) * headDim]);
  expectShape("attend", "out", out.tensor.shape, [null, queryHeads * headDim]);
  if (record !== undefined) checkRecord(record, heads, Math.max(0, ...groups.map(({ start, count }) => start + count)));
  if (softCap !== undefined && !(softCap > 0)) {
    throw new WinnowError("range", `attend: a soft cap of ${softCap}; expected a number above 0`);
  }
  for (const group of groups) {
    checkGroup(group, Math.min(qkv.count, out.count), heads);
    if (window !== undefined) checkWindow(window, group);
  }
}

function checkWindow(window: number, { position, context, own }: AttendGroup): void {
  if (!Number.isInteger(window) || window < 1) {
    throw new WinnowError("range", `attend: a window of ${window} positions; expected a whole number of at least 1`);
  }
  if (position === undefined) {
    throw new WinnowError("range", "attend: a window, and a group without the position of its first row; give it");
  }
  const isApart = context !== undefined && context.count > 0 && context.scratch.k !== own?.scratch.k;
  if (isApart) {
    throw new WinnowError("range", "attend: a window, and context that is not in the scratch of the group's own rows");
  }
}

function checkGroup({ start, count, paged, context, own }: AttendGroup, rowCount: number, heads: HeadShape): void {
  if (start < 0 || count < 0 || start + count > rowCount) {
    throw new WinnowError(
      "range",
      `attend: a group of rows ${start} to ${start + count} lies outside the call's ${rowCount} rows`,
    );
  }
  if ((paged?.appended ?? 0) > 0 && (own !== undefined || (context?.count ?? 0) > 0)) {
    throw new WinnowError(
      "range",
      "attend: a group's rows were appended to pages or to scratch, not to both; leave one out",
    );
  }
  if (context !== undefined) checkScratch("context", context.scratch, context.start, context.count, heads);
  if (own !== undefined) checkScratch("own", own.scratch, own.start, count, heads);
}

function checkScratch(
  operand: string,
  { k, v }: KvScratch,
  start: number,
  count: number,
  { kvHeads, headDim }: HeadShape,
): void {
  const capacity = k.shape[1] ?? 0;
  expectShape("attend", `${operand} keys`, k.shape, [kvHeads, null, headDim]);
  expectShape("attend", `${operand} values`, v.shape, [kvHeads, capacity, headDim]);
  if (start < 0 || start + count > capacity) {
    throw new WinnowError(
      "range",
      `attend: ${operand} rows ${start} to ${start + count} lie outside the scratch's ${capacity}`,
    );
  }
}

/** @param rowCount rows that the call attends. */
function checkRecord(
  { tables, columns, columnRows, positions, firstRow }: AttendRecord,
  { queryHeads, kvHeads }: HeadShape,
  rowCount: number,
): void {
  const known = elementCount(positions.shape);
  const needed = Math.max(firstRow + rowCount, columnRows);
  if (tables.some(({ bands }) => bands.length > 0) && (firstRow < 0 || known < needed)) {
    throw new WinnowError(
      "range",
      `attend: bands ask for the positions of rows ${firstRow} to ${needed}, and "${positions.label}" has ${known}`,
    );
  }
  for (const { into, bands } of tables)
    expectShape("attend", "mass table", into.shape, [queryHeads, null, bands.length + 1]);
  for (const { reduce, into } of columns)
    expectShape("attend", `${reduce} of the columns`, into.shape, [kvHeads, null]);
  for (const { into } of [...tables, ...columns]) {
    if ((into.shape[1] ?? 0) < columnRows) {
      throw new WinnowError(
        "shape",
        `attend: "${into.label}" has ${into.shape[1] ?? 0} columns, and ${columnRows} are recorded`,
      );
    }
  }
}
