import type { DeviceTensor } from "./device-tensor";
import { WinnowError } from "./errors";
import { formatShape } from "./shape";

/** Parts of a row that are normed each by itself. */
export interface NormRuns {
  /** Elements of a run. */
  readonly width: number;
  /** Runs of a row, from its beginning on. */
  readonly perRow: number;
  /** Elements of the weight from one run's to the next one's: 0 where all have the same. */
  readonly step: number;
}

/**
 * The runs that a weight divides rows into.
 *
 * @throws WinnowError `shape` where rows of `rowWidth` do not divide into them.
 */
export function normRunsOf({ shape }: DeviceTensor, rowWidth: number): NormRuns {
  const [first = 0, headDim] = shape;
  const runs =
    headDim === undefined
      ? { width: first, perRow: rowWidth / first, step: 0 }
      : { width: headDim, perRow: first, step: headDim };
  if (runs.width === 0 || shape.length > 2 || !Number.isInteger(runs.perRow) || runs.perRow * runs.width > rowWidth) {
    throw new WinnowError(
      "shape",
      `rmsNorm: rows of ${rowWidth} do not divide into runs of a weight of shape ${formatShape(shape)}`,
    );
  }
  return runs;
}
