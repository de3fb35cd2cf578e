import type { DType } from "../dtype";
import { WinnowError } from "../errors";
import { elementCount, type Shape } from "../shape";
import { toFloat32, type Tensor } from "../tensor";

/**
 * What the reference holds of host data. Halves become f32 here, once: JavaScript on Node 20 has no half-precision
 * arithmetic, and widening in every product would cost more time than the memory is worth. Quantised weights stay so.
 */
export function widenForCpu(source: Tensor): Float32Array | Uint32Array | Int32Array {
  switch (source.dtype) {
    case "f32":
    case "f16":
    case "bf16":
      return toFloat32(source);
    default:
      return source.data;
  }
}

/**
 * Zeros of a type, in 32-bit words.
 *
 * @throws WinnowError `memory` where there is not so much of it, `dtype` for types that this backend does not hold.
 */
export function zeros(dtype: DType, label: string, shape: Shape): Float32Array | Uint32Array | Int32Array {
  const count = elementCount(shape);
  try {
    switch (dtype) {
      case "f32":
        return new Float32Array(count);
      case "u32":
        return new Uint32Array(count);
      case "i32":
        return new Int32Array(count);
      default:
        throw new WinnowError(
          "dtype",
          `the CPU backend cannot allocate ${dtype} for "${label}"; expected f32, i32 or u32`,
        );
    }
  } catch (error) {
    if (error instanceof WinnowError) throw error;
    throw new WinnowError("memory", `no memory for "${label}": ${count} elements of ${dtype}, ${4 * count} bytes`, {
      cause: error,
    });
  }
}
