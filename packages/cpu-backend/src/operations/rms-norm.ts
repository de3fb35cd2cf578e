import { expectOutput, normRunsOf, type RmsNormSpec } from "@winnow/core-tensor";
import { f32Of, f32Rows, widthOf } from "@winnow/core-tensor/cpu";

import type { Machine } from "../machine";

/** out = x / sqrt(mean(x²) + epsilon) · weight (arXiv 1910.07467, equation 4) + residual, over runs as long as the weight's rows. */
export function rmsNormOf({ kernels }: Machine): (spec: RmsNormSpec) => void {
  return ({ x, weight, epsilon, residual, out }) => {
    const stride = widthOf(x.tensor);
    const { width, perRow, step } = normRunsOf(weight, stride);
    const source = f32Rows("rmsNorm", "x", x);
    const target = f32Rows("rmsNorm", "out", out);
    expectOutput("out", out, x.count, stride);
    if (residual !== undefined) expectOutput("residual", residual, x.count, stride);
    const before = residual === undefined ? 0 : f32Rows("rmsNorm", "residual", residual).byteOffset;
    kernels.rms_norm(
      source.byteOffset,
      x.count,
      stride,
      f32Of(weight).byteOffset,
      width,
      perRow,
      step,
      epsilon,
      before,
      target.byteOffset,
    );
  };
}
