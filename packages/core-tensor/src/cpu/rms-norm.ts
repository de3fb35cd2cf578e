import type { RmsNormSpec } from "../backend";
import { normRunsOf } from "../norm-runs";
import { expectOutput } from "../output-check";
import { f32Of, f32Rows, widthOf } from "./cpu-tensor";

/** out = x / sqrt(mean(x²) + epsilon) · weight (arXiv 1910.07467, equation 4) + residual, over runs as long as the weight's rows. */
export function rmsNorm({ x, weight, epsilon, residual, out }: RmsNormSpec): void {
  const source = f32Rows("rmsNorm", "x", x);
  const target = f32Rows("rmsNorm", "out", out);
  const before = residual === undefined ? null : f32Rows("rmsNorm", "residual", residual);
  const scale = f32Of(weight);
  const stride = widthOf(x.tensor);
  const { width, perRow, step } = normRunsOf(weight, stride);
  expectOutput("out", out, x.count, stride);
  if (residual !== undefined) expectOutput("residual", residual, x.count, stride);
  for (let row = 0; row < x.count; row++) {
    for (let run = 0; run < perRow; run++) {
      const start = row * stride + run * width;
      const inverse = inverseMean(source, start, width, epsilon);
      for (let i = 0; i < width; i++) {
        const value = (source[start + i] ?? 0) * inverse * (scale[run * step + i] ?? 0);
        target[start + i] = value + (before === null ? 0 : (before[start + i] ?? 0));
      }
    }
  }
}

/** The norm of each run as long as `scale`; `target` may be `source`. */
export function normRuns(source: Float32Array, scale: Float32Array, epsilon: number, target: Float32Array): void {
  const width = scale.length;
  for (let start = 0; start < source.length; start += width) {
    const inverse = inverseMean(source, start, width, epsilon);
    for (let i = 0; i < width; i++) target[start + i] = (source[start + i] ?? 0) * inverse * (scale[i] ?? 0);
  }
}

function inverseMean(source: Float32Array, start: number, width: number, epsilon: number): number {
  let sum = 0;
  for (let i = 0; i < width; i++) {
    const value = source[start + i] ?? 0;
    sum += value * value;
  }
  return 1 / Math.sqrt(sum / width + epsilon);
}
