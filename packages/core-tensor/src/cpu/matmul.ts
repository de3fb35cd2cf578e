import type { MatmulSpec } from "../backend";
import { checkMatmul } from "../matmul-check";
import { f32Of, f32Rows, widthOf } from "./cpu-tensor";
import type { Poll } from "./poll";
import { dots } from "./dots";
import { normRuns } from "./rms-norm";
import { weightRows } from "./weight-rows";

/** Rows and outputs of one tile: its sums and its weights stay in the nearer caches. Multiples of what `dots` takes at a time. */
const TILE_ROWS = 48;
const TILE_OUTPUTS = 96;

const sums = new Float64Array(TILE_ROWS * TILE_OUTPUTS * 2);

/** out = softCap(activation(norm(x) · weightᵀ + bias)) + residual. */
export function matmul(spec: MatmulSpec, poll: Poll): void {
  const { x, norm, weight, bias, residual, activation, softCap, column = 0, out } = spec;
  const inputs = widthOf(x.tensor);
  const gated = activation !== undefined;
  const gateOf = activation === "gelu-gate" ? gelu : silu;
  const width = checkMatmul(spec);
  const source = normed(f32Rows("matmul", "x", x), norm);
  const target = f32Rows("matmul", "out", out);
  const stride = widthOf(out.tensor);
  const gates = weightRows(weight, TILE_OUTPUTS);
  const ups = gated ? weightRows(weight, TILE_OUTPUTS) : null;
  const offsets = bias === undefined ? null : f32Of(bias);
  const before = residual === undefined ? null : f32Rows("matmul", "residual", residual);
  for (let o = 0; o < width; o += gates.most) {
    const tile = Math.min(gates.most, width - o);
    const gate = gates.read(o, tile);
    const up = ups?.read(width + o, tile);
    const pitch = gated ? 2 * tile : tile;
    for (let row = 0; row < x.count; row += TILE_ROWS) {
      poll();
      const rows = Math.min(TILE_ROWS, x.count - row);
      const from = row * inputs;
      dots(source, from, inputs, rows, gate.from, gate.start, inputs, tile, inputs, sums, 0, pitch);
      if (up !== undefined) {
        dots(source, from, inputs, rows, up.from, up.start, inputs, tile, inputs, sums, tile, pitch);
      }
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < tile; j++) {
          const at = (row + i) * stride + column + o + j;
          let value = (sums[i * pitch + j] ?? 0) + (offsets === null ? 0 : (offsets[o + j] ?? 0));
          if (gated) {
            const gatedBy = (sums[i * pitch + tile + j] ?? 0) + (offsets === null ? 0 : (offsets[width + o + j] ?? 0));
            value = gateOf(value) * gatedBy;
          }
          if (softCap !== undefined) value = softCap * Math.tanh(value / softCap);
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

function silu(value: number): number {
  return value / (1 + Math.exp(-value));
}

function gelu(value: number): number {
  return (value / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3)));
}
