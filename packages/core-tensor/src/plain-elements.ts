import type { DeviceTensor } from "./device-tensor";
import { WinnowError } from "./errors";
import { isQuantised } from "./quantised-row";
import { elementCount } from "./shape";

/**
 * How many elements a tensor has that can be written, copied and read one by one.
 *
 * @throws WinnowError `dtype` for a quantised one.
 */
export function plainElements(operation: string, { dtype, label, shape }: DeviceTensor): number {
  if (isQuantised(dtype)) {
    throw new WinnowError(
      "dtype",
      `${operation}: "${label}" holds ${dtype}, whose elements have no bytes of their own; upload such a weight whole`,
    );
  }
  return elementCount(shape);
}
