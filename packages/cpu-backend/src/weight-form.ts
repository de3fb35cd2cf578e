import { isQuantised, quantisedRow, tensorBytes, type DeviceTensor, type DType, type Shape } from "@winnow/core-tensor";
import { dataOf, f32Of, widthOf, type CpuHolding } from "@winnow/core-tensor/cpu";

import type { WeightArguments } from "./kernels";
import type { ModuleMemory } from "./memory/module-memory";

/** How the kernels number what a weight's rows are stored as. */
const FORMS = { f32: 0, f16: 1, bf16: 2, q8_0: 3, q4_0: 4, packed: 5 } as const;
const SCALE_KINDS = { half: 0, "half-pair": 1, byte: 2, "byte-pair": 3 } as const;

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

function isHalf(dtype: DType): dtype is "f16" | "bf16" {
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

/**
 * A weight as the kernels take it.
 *
 * @throws WinnowError `dtype` for whole numbers.
 */
export function weightArguments(weight: DeviceTensor, memory: ModuleMemory): WeightArguments {
  const { dtype } = weight;
  const width = widthOf(weight);
  const at = memory.addressOf(isQuantised(dtype) || isHalf(dtype) ? dataOf(weight) : f32Of(weight));
  const group = groupBytes(dtype, width);
  switch (dtype) {
    case "f16":
    case "bf16":
      return [FORMS[dtype], at, width, 2 * width, 0, 0, 0, 0, 0, 0, 0];
    case "q8_0":
    case "q4_0":
      return [FORMS[dtype], at, width, group ?? 0, 0, 0, 0, 0, 0, 0, 0];
    default: {
      if (!isQuantised(dtype)) return [FORMS.f32, at, width, 4 * width, 0, 0, 0, 0, 0, 0, 0];
      const row = quantisedRow(dtype, width);
      const kind = SCALE_KINDS[row.scale];
      return [
        FORMS.packed,
        at,
        width,
        4 * row.words,
        row.bits,
        row.zero,
        row.group,
        kind,
        row.high,
        row.scales,
        row.supers,
      ];
    }
  }
}
