import type { DeviceTensor } from "./device-tensor";
import { WinnowError } from "./errors";
import { elementCount } from "./shape";

/**
 * How many elements a copy moves: as many as both have.
 *
 * @throws WinnowError `dtype` where they are not of one type.
 */
export function copiedElements(source: DeviceTensor, target: DeviceTensor): number {
  if (source.dtype === target.dtype) return Math.min(elementCount(source.shape), elementCount(target.shape));
  throw new WinnowError(
    "dtype",
    `copy: "${source.label}" holds ${source.dtype} and "${target.label}" ${target.dtype}; expected one type`,
  );
}
