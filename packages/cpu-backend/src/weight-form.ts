import { tensorBytes, type DType, type Shape } from "@winnow/core-tensor";
import type { CpuHolding } from "@winnow/core-tensor/cpu";

/** How the kernels number what a weight's rows are stored as. */
export const FORMS = { f32: 0, f16: 1, bf16: 2, q8_0: 3, q4_0: 4, packed: 5 } as const;

/** Rows that lie together, where products are of whole numbers; elements that share a scale. */
const GROUP = 4;
const BLOCK = 32;

/** Types whose rows lie in groups, and bytes of a block of one row with its scale. */
const GROUPED: Readonly<Partial<Record<DType, number>>> = { q8_0: BLOCK + 2, q4_0: BLOCK / 2 + 2 };

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

/** Bytes of a group of rows; null for types whose rows lie by themselves. */
export function groupBytes(dtype: DType, width: number): number | null {
  const block = GROUPED[dtype];
  return block === undefined ? null : GROUP * (width / BLOCK) * block;
}

/** The number of a type whose rows lie in groups. */
export function groupedForm(dtype: "q8_0" | "q4_0"): number {
  return FORMS[dtype];
}

export function rowsOf(shape: Shape): number {
  return shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
}
