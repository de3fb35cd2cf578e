import { bytesOf, type DType } from "./dtype";
import { WinnowError } from "./errors";
import { widenBf16, widenF16 } from "./half";
import { dequantiseRow, isQuantised, quantisedRow, type QuantisedType } from "./quantised-row";
import { elementCount, formatShape, type Shape } from "./shape";

/** The typed array that holds each storage type: half-precision bits, and rows of quantised elements, are words. */
export interface DTypeArrays extends Record<QuantisedType, Uint32Array> {
  f32: Float32Array;
  f16: Uint16Array;
  bf16: Uint16Array;
  i32: Int32Array;
  u32: Uint32Array;
}

/** Host data with a type and a shape: what is read from a file and what comes back from a backend. */
export type Tensor = { [D in DType]: TensorOf<D> }[DType];

export interface TensorOf<D extends DType> {
  readonly dtype: D;
  readonly shape: Shape;
  readonly data: DTypeArrays[D];
}

/**
 * Bytes that a tensor takes. Of a quantised one each row has its own.
 *
 * @throws WinnowError `dtype` where a row's elements do not fill whole groups of a quantised type.
 * @example tensorBytes("q8_0", [2, 64]) // 136
 */
export function tensorBytes(dtype: DType, shape: Shape): number {
  const elements = elementCount(shape);
  if (!isQuantised(dtype)) return bytesOf(dtype, elements);
  const width = shape.at(-1) ?? 1;
  return width === 0 ? 0 : (elements / width) * quantisedRow(dtype, width).words * 4;
}

/**
 * A tensor over data that is already there; nothing is copied.
 *
 * @throws WinnowError `shape` when the data has not the bytes that the shape and type call for.
 * @example tensor("f32", [2, 3], new Float32Array(6))
 */
export function tensor<D extends DType>(dtype: D, shape: Shape, data: DTypeArrays[D]): TensorOf<D> {
  const bytes = tensorBytes(dtype, shape);
  if (data.byteLength !== bytes) {
    throw new WinnowError(
      "shape",
      `a ${dtype} tensor of shape ${formatShape(shape)} takes ${bytes} bytes, and the data has ${data.byteLength}`,
    );
  }
  return { dtype, shape, data };
}

/**
 * The elements as f32: the tensor's own array where it is f32 already, else a widened copy.
 *
 * @throws WinnowError `dtype` for integers.
 */
export function toFloat32(source: Tensor): Float32Array {
  switch (source.dtype) {
    case "f32":
      return source.data;
    case "f16": {
      const wide = new Float32Array(source.data.length);
      widenF16(source.data, wide);
      return wide;
    }
    case "bf16": {
      const wide = new Float32Array(source.data.length);
      widenBf16(source.data, wide);
      return wide;
    }
    case "i32":
    case "u32":
      throw new WinnowError("dtype", `cannot widen ${source.dtype} to f32; expected floats or quantised weights`);
    default: {
      const row = quantisedRow(source.dtype, source.shape.at(-1) ?? 1);
      const wide = new Float32Array(elementCount(source.shape));
      for (let at = 0, to = 0; to < wide.length; at += row.words, to += row.width) {
        dequantiseRow(row, source.data, at, wide, to);
      }
      return wide;
    }
  }
}
