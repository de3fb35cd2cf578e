import type { QuantisedType } from "./quantised-row";

/** Types whose elements have bytes of their own. */
export type PlainType = "f32" | "f16" | "bf16" | "i32" | "u32";

/** How the elements of a tensor are stored. Quantised ones are rows of words, as `quantisedRow` describes them. */
export type DType = PlainType | QuantisedType;

/** Bytes of an element. */
export const ELEMENT_BYTES: Readonly<Record<PlainType, 2 | 4>> = { f32: 4, f16: 2, bf16: 2, i32: 4, u32: 4 };

/**
 * Bytes that `elements` elements of a type take.
 *
 * @example bytesOf("f16", 64) // 128
 */
export function bytesOf(dtype: PlainType, elements: number): number {
  return elements * ELEMENT_BYTES[dtype];
}
