import type { DeviceTensor, MatmulSpec } from "@winnow/core-tensor";

/** A linear map on the device: x · weightᵀ + bias. */
export interface Linear {
  /** [outputs, inputs], floats or quantised. */
  readonly weight: DeviceTensor;
  /** f32 [outputs] */
  readonly bias: DeviceTensor | null;
}

/** One of several linear maps whose outputs lie side by side in a row. */
export interface LinearPart extends Linear {
  /** Where its outputs begin. */
  readonly column: number;
}

/** As a product has it. */
export function weighted({ weight, bias }: Linear): Pick<MatmulSpec, "weight" | "bias"> {
  return bias === null ? { weight } : { weight, bias };
}
