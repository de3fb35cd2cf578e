import type { Rows } from "./device-tensor";
import { WinnowError } from "./errors";
import { plainElements } from "./plain-elements";
import { elementCount } from "./shape";

/** Elements to copy, counted from the tensors' beginnings. */
export interface CopySpan {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/**
 * What a copy of rows moves.
 *
 * @throws WinnowError `dtype` where the tensors are not of one plain type, `shape` where rows do not match, `range` where they
 * are not there, or where rows of one tensor overlap those that they are copied to.
 */
export function copySpan(source: Rows, target: Rows): CopySpan {
  const [from, to] = [source.tensor, target.tensor];
  if (from.dtype !== to.dtype) {
    throw new WinnowError(
      "dtype",
      `copy: "${from.label}" holds ${from.dtype} and "${to.label}" ${to.dtype}; expected one type`,
    );
  }
  plainElements("copy", from);
  const width = elementCount(from.shape.slice(1));
  if (elementCount(to.shape.slice(1)) !== width || source.count !== target.count) {
    throw new WinnowError(
      "shape",
      `copy: "${from.label}" gives ${source.count} rows of ${width}, and "${to.label}" takes ${target.count} of ` +
        `${elementCount(to.shape.slice(1))}; expected the same`,
    );
  }
  for (const { tensor, start, count } of [source, target]) {
    if (start < 0 || start + count > (tensor.shape[0] ?? 0)) {
      throw new WinnowError(
        "range",
        `copy: rows ${start} to ${start + count} of "${tensor.label}", which has ${tensor.shape[0] ?? 0}`,
      );
    }
  }
  if (from === to && Math.abs(source.start - target.start) < source.count) {
    throw new WinnowError(
      "range",
      `copy: ${source.count} rows of "${from.label}" from row ${source.start} on are copied to row ${target.start}, which is among them; expected rows apart`,
    );
  }
  return { from: source.start * width, to: target.start * width, count: source.count * width };
}
