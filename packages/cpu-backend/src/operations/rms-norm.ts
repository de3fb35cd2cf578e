import { expectOutput, normRunsOf, type DeviceTensor, type RmsNormSpec } from "@winnow/core-tensor";
import { dataOf, downloadable, f32Of, f32Rows, widthOf } from "@winnow/core-tensor/cpu";

import type { Address } from "../kernels";
import type { Machine } from "../machine";

/** out = x / sqrt(mean(x²) + epsilon) · weight (arXiv 1910.07467, equation 4) + residual, over runs as long as the weight's rows. */
export function rmsNormOf({ kernels, memory, work }: Machine): (spec: RmsNormSpec) => void {
  const addressOfScale = (weight: DeviceTensor): Address => {
    const data = dataOf(weight);
    if (!(data instanceof Uint16Array)) return memory.addressOf(f32Of(weight));
    // A matrix of halves stays as it came; a vector would have been widened.
    const [at = 0] = work.reserve(4 * data.length);
    work.floats(at, data.length).set(downloadable(weight.dtype, data));
    return at;
  };
  return ({ x, weight, epsilon, residual, out }) => {
    const stride = widthOf(x.tensor);
    const { width, perRow, step } = normRunsOf(weight, stride);
    const source = memory.addressOf(f32Rows("rmsNorm", "x", x));
    const target = memory.addressOf(f32Rows("rmsNorm", "out", out));
    expectOutput("out", out, x.count, stride);
    if (residual !== undefined) expectOutput("residual", residual, x.count, stride);
    const before = residual === undefined ? 0 : memory.addressOf(f32Rows("rmsNorm", "residual", residual));
    const scale = addressOfScale(weight);
    kernels.rms_norm(source, x.count, stride, scale, width, perRow, step, epsilon, before, target);
  };
}
