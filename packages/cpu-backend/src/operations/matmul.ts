import { checkMatmul, type MatmulSpec } from "@winnow/core-tensor";
import { f32Of, f32Rows, widthOf, type Poll } from "@winnow/core-tensor/cpu";

import type { Machine } from "../machine";
import { weightArguments } from "../weight-form";

const ACTIVATIONS = { "silu-gate": 1, "gelu-gate": 2 } as const;

/** Multiplications between two looks at whether to stop: some tens of milliseconds of one thread. */
const PRODUCTS_AT_ONCE = 2e8;
/** Elements of x that are rounded with one scale. */
const BLOCK = 32;

/** out = softCap(activation(norm(x) · weightᵀ + bias)) + residual. */
export function matmulOf({ kernels, work, threads }: Machine): (spec: MatmulSpec, poll: Poll) => void {
  return (spec, poll) => {
    const { x, norm, weight, bias, residual, activation, softCap, column = 0, out } = spec;
    const width = checkMatmul(spec);
    const inputs = widthOf(x.tensor);
    const source = f32Rows("matmul", "x", x);
    const target = f32Rows("matmul", "out", out);
    const before = residual === undefined ? null : f32Rows("matmul", "residual", residual);
    const normed = norm === undefined ? 0 : f32Of(norm.weight).byteOffset;
    const offsets = bias === undefined ? 0 : f32Of(bias).byteOffset;
    if (x.count === 0 || width === 0) return;
    kernels.matmul_weight(...weightArguments(weight));
    const workBytes = kernels.matmul_work(x.count, width, inputs);
    const [prepared = 0, scales = 0, threadWork = 0] = work.reserve(
      4 * x.count * inputs,
      4 * x.count * Math.ceil(inputs / BLOCK),
      threads * workBytes,
    );
    const perOutput = x.count * inputs * (activation === undefined ? 1 : 2);
    const most = Math.max(1, Math.floor(PRODUCTS_AT_ONCE / Math.max(1, perOutput)));
    for (let from = 0; from < width; from += most) {
      poll();
      kernels.matmul(
        source.byteOffset,
        x.count,
        normed,
        norm?.epsilon ?? 0,
        width,
        from,
        Math.min(width, from + most),
        offsets,
        before === null ? 0 : before.byteOffset + 4 * column,
        activation === undefined ? 0 : ACTIVATIONS[activation],
        softCap ?? 0,
        target.byteOffset + 4 * column,
        widthOf(out.tensor),
        prepared,
        scales,
        threadWork,
        workBytes,
        from === 0 ? 1 : 0,
      );
    }
  };
}
