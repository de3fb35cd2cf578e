import { WinnowError } from "./errors";

/** How the elements of a tensor are stored. The quantised types are ggml's block formats. */
export type DType = "f32" | "f16" | "bf16" | "i32" | "u32" | "q8_0" | "q4_0" | "q4_k" | "q6_k";

/** One storage type: elements come in blocks, and a block has a fixed number of bytes. */
export interface DTypeInfo {
  readonly kind: "float" | "integer" | "quantised";
  /** Elements a block; 1 for the plain types. */
  readonly blockSize: number;
  readonly blockBytes: number;
}

export const DTYPES: Readonly<Record<DType, DTypeInfo>> = {
  f32: { kind: "float", blockSize: 1, blockBytes: 4 },
  f16: { kind: "float", blockSize: 1, blockBytes: 2 },
  bf16: { kind: "float", blockSize: 1, blockBytes: 2 },
  i32: { kind: "integer", blockSize: 1, blockBytes: 4 },
  u32: { kind: "integer", blockSize: 1, blockBytes: 4 },
  q8_0: { kind: "quantised", blockSize: 32, blockBytes: 34 },
  q4_0: { kind: "quantised", blockSize: 32, blockBytes: 18 },
  q4_k: { kind: "quantised", blockSize: 256, blockBytes: 144 },
  q6_k: { kind: "quantised", blockSize: 256, blockBytes: 210 },
};

/**
 * Bytes that `elements` elements of a type take.
 *
 * @throws WinnowError `dtype` when the elements do not fill whole blocks.
 * @example bytesOf("q8_0", 64) // 68
 */
export function bytesOf(dtype: DType, elements: number): number {
  const { blockSize, blockBytes } = DTYPES[dtype];
  if (elements % blockSize !== 0) {
    throw new WinnowError(
      "dtype",
      `${dtype} stores blocks of ${blockSize} elements, and ${elements} is not a multiple of that; use rows of whole blocks`,
    );
  }
  return (elements / blockSize) * blockBytes;
}
