import {
  bf16ToNumber,
  f16ToNumber,
  isQuantised,
  numberToBf16,
  numberToF16,
  WinnowError,
  type DType,
  type PlainType,
  type Tensor,
} from "@winnow/core-tensor";

/** @throws WinnowError `dtype` for a quantised type, whose elements have no bytes of their own. */
export function plainType(dtype: DType, label: string): PlainType {
  if (!isQuantised(dtype)) return dtype;
  throw new WinnowError("dtype", `"${label}" holds ${dtype}, expected f32, f16, bf16, i32 or u32`);
}

/** A host tensor's bytes as the device stores them: the very same. */
export function bytesToUpload({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * Elements to overwrite some of a tensor with, as the device stores them.
 *
 * @throws WinnowError `dtype` when the array is not of the tensor's kind.
 */
export function encode(dtype: PlainType, data: Float32Array | Uint32Array | Int32Array, label: string): Uint8Array {
  const wanted = { f32: Float32Array, f16: Float32Array, bf16: Float32Array, i32: Int32Array, u32: Uint32Array }[dtype];
  if (!(data instanceof wanted)) {
    throw new WinnowError(
      "dtype",
      `write: "${label}" holds ${dtype}, expected a ${wanted.name}, found a ${data.constructor.name}`,
    );
  }
  if (dtype !== "f16" && dtype !== "bf16") return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const narrow = Uint16Array.from(data, dtype === "f16" ? numberToF16 : numberToBf16);
  return new Uint8Array(narrow.buffer);
}

/** Elements as they came from the device: integers as words, floats widened. The bytes are not copied. */
export function decode(dtype: PlainType, bytes: ArrayBuffer): Float32Array | Uint32Array {
  switch (dtype) {
    case "f32":
      return new Float32Array(bytes);
    case "i32":
    case "u32":
      return new Uint32Array(bytes);
    case "f16":
      return Float32Array.from(new Uint16Array(bytes), f16ToNumber);
    case "bf16":
      return Float32Array.from(new Uint16Array(bytes), bf16ToNumber);
  }
}
