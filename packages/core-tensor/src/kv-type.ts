import { bytesOf, type DType, type PlainType } from "./dtype";
import { WinnowError } from "./errors";

/** How a cache stores keys and values; `q8` and `q4` are what `quantiseRows` makes of them. */
export const KV_TYPES = ["f32", "f16", "q8", "q4"] as const;
export type KvType = (typeof KV_TYPES)[number];
export type QuantisedKvType = Extract<KvType, "q8" | "q4">;

/** How rows of a quantised cache are made: whole numbers of so many bits, and a scale for each group of elements. */
export interface QuantisedKvForm {
  readonly bits: 8 | 4;
  /** The greatest whole number; its negative is the least. */
  readonly most: number;
  /** Elements that share a scale; null where a row has one. */
  readonly group: number | null;
}

export const QUANTISED_KV_FORMS: Readonly<Record<QuantisedKvType, QuantisedKvForm>> = {
  q8: { bits: 8, most: 127, group: null },
  q4: { bits: 4, most: 7, group: 32 },
};

export function isQuantisedKv(kvType: KvType): kvType is QuantisedKvType {
  return kvType === "q8" || kvType === "q4";
}

/** What the number of a head's elements has to be a multiple of. */
function stepOf(kvType: KvType): number {
  if (kvType === "f32") return 1;
  return kvType === "q4" ? 32 : 4;
}

/** Whether heads allow the type: f16 and q8 take elements by four, q4 by 32. */
export function fitsKvType(kvType: KvType, headDim: number): boolean {
  return headDim % stepOf(kvType) === 0;
}

/** @throws WinnowError with this code for heads that do not allow the type. */
export function expectKvType(kvType: KvType, headDim: number, code: "dtype" | "usage"): void {
  if (fitsKvType(kvType, headDim)) return;
  const step = stepOf(kvType) === 4 ? "four" : String(stepOf(kvType));
  throw new WinnowError(
    code,
    `a cache in ${kvType} needs heads whose size is a multiple of ${step}, and these have ${headDim} elements; use f32`,
  );
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
 * @example kvRow("q4", 64) // { dtype: "u32", width: 10 }
 */
export function kvRow(kvType: KvType, headDim: number): KvRow {
  expectKvType(kvType, headDim, "dtype");
  if (!isQuantisedKv(kvType)) return { dtype: kvType, width: headDim };
  const { bits, group } = QUANTISED_KV_FORMS[kvType];
  return { dtype: "u32", width: (headDim * bits) / 32 + headDim / (group ?? headDim) };
}

/**
 * The type of a cache from what its slabs are: no two types have rows of one width for the same heads.
 *
 * @param row the type of a slab's elements, and how many of them a row has.
 * @throws WinnowError `dtype` where no type has such rows.
 * @example kvTypeOfRow({ dtype: "u32", width: 17 }, 64) // "q8"
 */
export function kvTypeOfRow(
  { dtype, width }: { readonly dtype: DType; readonly width: number },
  headDim: number,
): KvType {
  const found = KV_TYPES.find((kvType) => {
    if (!fitsKvType(kvType, headDim)) return false;
    const row = kvRow(kvType, headDim);
    return row.dtype === dtype && row.width === width;
  });
  if (found !== undefined) return found;
  throw new WinnowError(
    "dtype",
    `rows of ${width} × ${dtype} are those of no cache whose heads have ${headDim} elements; expected ${KV_TYPES.join(", ")}`,
  );
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
