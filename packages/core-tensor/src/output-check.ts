import type { Rows } from "./device-tensor";
import { WinnowError } from "./errors";
import { elementCount } from "./shape";

/**
 * Check what a product writes to, or adds.
 *
 * @param width outputs of a row.
 * @param column where in a row the first one goes; without it rows are as wide as the outputs.
 * @throws WinnowError `shape`
 */
export function expectOutput(operand: string, rows: Rows, count: number, width: number, column?: number): void {
  const found = elementCount(rows.tensor.shape.slice(1));
  const fits = column === undefined ? found === width : column >= 0 && column + width <= found;
  if (fits && rows.count === count) return;
  const wanted = column === undefined ? `of ${width}` : `of at least ${column + width}, for outputs from ${column} on`;
  throw new WinnowError(
    "shape",
    `matmul: ${operand} is ${rows.count} rows of ${found}, expected ${count} rows ${wanted}`,
  );
}
