import { isQuantised, tensorBytes, type DType, type QuantisedType, type Shape } from "@winnow/core-tensor";
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

/** Bytes of a group of rows, which has what one row of all their elements has; null for types whose rows lie by themselves. */
export function groupBytes(dtype: DType, width: number): number | null {
  return isQuantised(dtype) ? tensorBytes(dtype, [GROUP * width]) : null;
}

/** The number of what a weight's rows are stored as, where it is not f32. */
export function formOf(dtype: DType): number {
  return isHalf(dtype) || isQuantised(dtype) ? FORMS[dtype] : FORMS.f32;
}

export function rowsOf(shape: Shape): number {
  return shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
}
