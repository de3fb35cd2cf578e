import {
  SUPER_GROUP,
  isQuantised,
  quantisedRow,
  tensorBytes,
  type DType,
  type QuantisedType,
  type Shape,
} from "@winnow/core-tensor";
import type { CpuHolding } from "@winnow/core-tensor/cpu";

/** How the kernels number what a weight's rows are stored as: floats, and types whose rows lie in groups. */
const FORMS = {
  f32: 0,
  f16: 1,
  bf16: 2,
  q8_0: 3,
  q4_0: 4,
  q4_1: 5,
  q5_0: 6,
  q5_1: 7,
  q4_k: 8,
  q5_k: 9,
  q6_k: 10,
} as const satisfies Record<"f32" | "f16" | "bf16" | QuantisedType, number>;

/** Rows that lie together, where products are of whole numbers. */
export const GROUP = 4;

/** Matrices are held as what they come as, some in groups of four rows; vectors are few bytes, and f32. */
export const HOLDING: CpuHolding = {
  typeOf: ({ dtype, shape }) => (shape.length < 2 && isHalf(dtype) ? "f32" : dtype),
  bytesOf(dtype, shape) {
    const group = groupBytes(dtype, shape.at(-1) ?? 1);
    return group === null ? tensorBytes(dtype, shape) : Math.ceil(rowsOf(shape) / GROUP) * group;
  },
};

/** Whether elements are halves, of either kind. */
export function isHalf(dtype: DType): dtype is "f16" | "bf16" {
  return dtype === "f16" || dtype === "bf16";
}

/**
 * Bytes of a group of rows, which has what the rows have and no padding; null for types whose rows lie by themselves.
 *
 * @throws WinnowError `dtype` where elements do not fill whole blocks.
 */
export function groupBytes(dtype: DType, width: number): number | null {
  if (!isQuantised(dtype)) return null;
  const { bits, group, scale } = quantisedRow(dtype, width);
  const scaleBits = { half: 16, "half-pair": 32, byte: 8, "byte-pair": 16 }[scale];
  const superBits = { half: 0, "half-pair": 0, byte: 16, "byte-pair": 32 }[scale];
  return (GROUP * (width * bits + (width / group) * scaleBits + (width / SUPER_GROUP) * superBits)) / 8;
}

/** The number of what a weight's rows are stored as, where it is not f32. */
export function formOf(dtype: DType): number {
  return isHalf(dtype) || isQuantised(dtype) ? FORMS[dtype] : FORMS.f32;
}

export function rowsOf(shape: Shape): number {
  return shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
}
