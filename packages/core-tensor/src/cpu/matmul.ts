import type { MatmulSpec } from "../backend";
import { WinnowError } from "../errors";
import { expectShape } from "../shape";
import { f32Of, f32Rows, widthOf, type Poll } from "./cpu-tensor";
import { dots } from "./dots";
import { normRuns } from "./rms-norm";

/** Rows and outputs of one tile: its sums and its weights stay in the nearer caches. Multiples of what `dots` takes at a time. */
const TILE_ROWS = 48;
const TILE_OUTPUTS = 96;

const sums = new Float64Array(TILE_ROWS * TILE_OUTPUTS * 2);

/** out = activation(norm(x) · weightᵀ + bias) + residual. */
export function matmul({ x, norm, weight, bias, residual, activation, out }: MatmulSpec, poll: Poll): void {
  const inputs = widthOf(x.tensor);
  const outputs = weight.shape[0] ?? 0;
  expectShape("matmul", "weight", weight.shape, [null, inputs]);
  if (bias !== undefined) expectShape("matmul", "bias", bias.shape, [outputs]);
  if (norm !== undefined) expectShape("matmul", "the norm's weight", norm.weight.shape, [inputs]);
  const gated = activation === "silu-gate";
  const width = gated ? outputs / 2 : outputs;
  for (const [operand, rows] of [
    ["out", out],
    ["residual", residual],
  ] as const) {
    if (rows !== undefined && (widthOf(rows.tensor) !== width || rows.count !== x.count)) {
      throw new WinnowError(
        "shape",
        `matmul: ${operand} is ${rows.count} rows of ${widthOf(rows.tensor)}, expected ${x.count} rows of ${width}`,
      );
    }
  }
  const source = normed(f32Rows("matmul", "x", x), norm);
  const target = f32Rows("matmul", "out", out);
  const weights = f32Of(weight);
  const offsets = bias === undefined ? null : f32Of(bias);
  const before = residual === undefined ? null : f32Rows("matmul", "residual", residual);
  for (let o = 0; o < width; o += TILE_OUTPUTS) {
    const tile = Math.min(TILE_OUTPUTS, width - o);
    for (let row = 0; row < x.count; row += TILE_ROWS) {
      poll();
      const rows = Math.min(TILE_ROWS, x.count - row);
      const stride = gated ? 2 * tile : tile;
      dots(source, row * inputs, inputs, rows, weights, o * inputs, inputs, tile, inputs, sums, 0, stride);
      if (gated) {
        dots(
          source,
          row * inputs,
          inputs,
          rows,
          weights,
          (width + o) * inputs,
          inputs,
          tile,
          inputs,
          sums,
          tile,
          stride,
        );
      }
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < tile; j++) {
          const at = (row + i) * width + o + j;
          let value = (sums[i * stride + j] ?? 0) + (offsets === null ? 0 : (offsets[o + j] ?? 0));
          if (gated) {
            const up = (sums[i * stride + tile + j] ?? 0) + (offsets === null ? 0 : (offsets[width + o + j] ?? 0));
            value = (value / (1 + Math.exp(-value))) * up;
          }
          target[at] = value + (before === null ? 0 : (before[at] ?? 0));
        }
      }
    }
  }
}

function normed(x: Float32Array, norm: MatmulSpec["norm"]): Float32Array {
  if (norm === undefined) return x;
  const target = new Float32Array(x.length);
  normRuns(x, f32Of(norm.weight), norm.epsilon, target);
  return target;
}
