import { bytesOf, type PlainType } from "./dtype";
import { WinnowError } from "./errors";

/** How a cache stores keys and values; `q8` is what `quantiseRows` makes of them. */
export const KV_TYPES = ["f32", "f16", "q8"] as const;
export type KvType = (typeof KV_TYPES)[number];

/** Whether heads allow the type: f16 and q8 take elements by four. */
export function fitsKvType(kvType: KvType, headDim: number): boolean {
  return kvType === "f32" || headDim % 4 === 0;
}

/** How a slab holds the key of a slot, or its value: a row. */
export interface KvRow {
  readonly dtype: PlainType;
  /** Elements of `dtype`. */
  readonly width: number;
}

/**
 * @throws WinnowError `dtype` for heads that do not allow the type.
 * @example kvRow("q8", 64) // { dtype: "u32", width: 17 }
 */
export function kvRow(kvType: KvType, headDim: number): KvRow {
  if (!fitsKvType(kvType, headDim)) {
    throw new WinnowError(
      "dtype",
      `a cache in ${kvType} needs heads whose size is a multiple of four, and these have ${headDim} elements; use f32`,
    );
  }
  return kvType === "q8" ? { dtype: "u32", width: headDim / 4 + 1 } : { dtype: kvType, width: headDim };
}

/**
 * Bytes of a slot's key or value.
 *
 * @throws WinnowError `dtype` for heads that do not allow the type.
 * @example kvRowBytes("q8", 64) // 68
 */
export function kvRowBytes(kvType: KvType, headDim: number): number {
  const { dtype, width } = kvRow(kvType, headDim);
  return bytesOf(dtype, width);
}
