import { isQuantised, tensorBytes, type DeviceTensor } from "@winnow/core-tensor";
import { dataOf, f32Of, widthOf } from "@winnow/core-tensor/cpu";

import type { WeightArguments } from "../kernels";
import type { ModuleMemory } from "../memory/module-memory";
import { formOf, groupBytes, isHalf } from "../weight-form";

/**
 * A weight as the kernels take it.
 *
 * @throws WinnowError `dtype` for whole numbers.
 */
export function weightArguments(weight: DeviceTensor, memory: ModuleMemory): WeightArguments {
  const { dtype } = weight;
  const width = widthOf(weight);
  const at = memory.addressOf(isQuantised(dtype) || isHalf(dtype) ? dataOf(weight) : f32Of(weight));
  return [formOf(dtype), at, width, groupBytes(dtype, width) ?? tensorBytes(dtype, [width])];
}
