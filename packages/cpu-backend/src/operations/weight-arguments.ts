import { isQuantised, quantisedRow, type DeviceTensor } from "@winnow/core-tensor";
import { dataOf, f32Of, widthOf } from "@winnow/core-tensor/cpu";

import type { WeightArguments } from "../kernels";
import type { ModuleMemory } from "../memory/module-memory";
import { FORMS, groupBytes, isHalf } from "../weight-form";

const SCALE_KINDS = { half: 0, "half-pair": 1, byte: 2, "byte-pair": 3 } as const;

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
