import { elementCount, WinnowError, type DeviceTensor, type DType, type Rows } from "@winnow/core-tensor";

import { gpuTensor, type GpuTensor } from "../buffers/gpu-tensor";
import { part, type BufferBinding } from "./binding";

/** The greatest that WebGPU allows a device's `minStorageBufferOffsetAlignment` to be. */
const BINDING_ALIGNMENT = 256;

/** Rows of a tensor as a kernel sees them. */
export interface RowOperand {
  readonly tensor: GpuTensor;
  /** Rows. */
  readonly count: number;
  /** Elements of a row. */
  readonly width: number;
  /** The first row's first element, counted from the tensor's beginning. */
  readonly first: number;
  /** Elements of all rows. */
  readonly elements: number;
}

/**
 * A tensor that an operation was given.
 *
 * @param types those that the kernel can read.
 * @throws WinnowError `backend`, `disposed`, `dtype`
 */
export function tensorOperand(name: string, handle: DeviceTensor, types: readonly DType[]): GpuTensor {
  const tensor = gpuTensor(handle);
  if (types.includes(tensor.dtype)) return tensor;
  throw new WinnowError("dtype", `${name} "${tensor.label}" holds ${tensor.dtype}, expected ${types.join(" or ")}`);
}

/**
 * Some rows of a tensor, bound by themselves: where they begin is not a parameter.
 *
 * @throws WinnowError `range` where the device cannot bind from there.
 */
export function boundRows(
  name: string,
  { tensor: handle, start, count }: Rows,
  types: readonly DType[],
): BufferBinding {
  const tensor = tensorOperand(name, handle, types);
  const bytes = tensor.buffer.bytes / Math.max(1, tensor.shape[0] ?? 0);
  const offset = start * bytes;
  if (offset % BINDING_ALIGNMENT !== 0) {
    throw new WinnowError(
      "range",
      `${name} "${tensor.label}" begins at byte ${offset}, and rows that are bound begin at multiples of ` +
        `${BINDING_ALIGNMENT}; give a row a multiple of as many bytes`,
    );
  }
  return part(tensor, offset, count * bytes);
}

/**
 * Rows that an operation was given, checked to lie within their tensor.
 *
 * @throws WinnowError `backend`, `disposed`, `dtype`, `range`
 */
export function rowOperand(name: string, { tensor: handle, start, count }: Rows, types: readonly DType[]): RowOperand {
  const tensor = tensorOperand(name, handle, types);
  const available = tensor.shape[0] ?? 0;
  if (start < 0 || count < 0 || start + count > available) {
    throw new WinnowError(
      "range",
      `${name} "${tensor.label}" has ${available} rows, asked for ${start} to ${start + count}`,
    );
  }
  const width = elementCount(tensor.shape.slice(1));
  return { tensor, count, width, first: start * width, elements: count * width };
}
