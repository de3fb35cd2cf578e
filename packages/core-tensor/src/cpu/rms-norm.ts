import type { RmsNormSpec } from "../backend";
import { WinnowError } from "../errors";
import { elementCount } from "../shape";
import { f32Of, f32Rows, widthOf } from "./cpu-tensor";

/** out = x / sqrt(mean(x²) + epsilon) · weight (arXiv 1910.07467, equation 4), over runs as long as the weight. */
export function rmsNorm({ x, weight, epsilon, out }: RmsNormSpec): void {
  const source = f32Rows("rmsNorm", "x", x);
  const target = f32Rows("rmsNorm", "out", out);
  const scale = f32Of(weight);
  const width = elementCount(weight.shape);
  if (width === 0 || widthOf(x.tensor) % width !== 0 || target.length !== source.length) {
    throw new WinnowError(
      "shape",
      `rmsNorm: rows of ${widthOf(x.tensor)} do not divide into runs of the weight's ${width}, ` +
        `or out has ${target.length} elements for ${source.length}`,
    );
  }
  normRuns(source, scale, epsilon, target);
}

/** The norm of each run as long as `scale`; `target` may be `source`. */
export function normRuns(source: Float32Array, scale: Float32Array, epsilon: number, target: Float32Array): void {
  const width = scale.length;
  for (let start = 0; start < source.length; start += width) {
    let sum = 0;
    for (let i = 0; i < width; i++) {
      const value = source[start + i] ?? 0;
      sum += value * value;
    }
    const inverse = 1 / Math.sqrt(sum / width + epsilon);
    for (let i = 0; i < width; i++) target[start + i] = (source[start + i] ?? 0) * inverse * (scale[i] ?? 0);
  }
}
