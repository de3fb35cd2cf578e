import { checkMatmul, type MatmulSpec } from "@winnow/core-tensor";
import { f32Of, f32Rows, widthOf, type Poll } from "@winnow/core-tensor/cpu";

import type { Machine } from "../machine";
import { weightArguments } from "./weight-arguments";

const ACTIVATIONS = { "silu-gate": 1, "gelu-gate": 2 } as const;

/** Multiplications of a thread between two looks at whether to stop: some tens of milliseconds. */
const PRODUCTS_AT_ONCE = 2e8;
/** Outputs of a task, at least, as in `matmul.c`: so many for each thread, or some have none. */
const LEAST_PANEL = 16;
/** Elements of x that are rounded with one scale. */
const BLOCK = 32;

/** out = softCap(activation(norm(x) · weightᵀ + bias)) + residual. */
export function matmulOf({ kernels, memory, work, threads }: Machine): (spec: MatmulSpec, poll: Poll) => void {
  return (spec, poll) => {
    const { x, norm, weight, bias, residual, activation, softCap, column = 0, out } = spec;
    const width = checkMatmul(spec);
    const inputs = widthOf(x.tensor);
    const source = memory.addressOf(f32Rows("matmul", "x", x));
    const target = memory.addressOf(f32Rows("matmul", "out", out)) + 4 * column;
    const before = residual === undefined ? 0 : memory.addressOf(f32Rows("matmul", "residual", residual)) + 4 * column;
    const normed = norm === undefined ? 0 : memory.addressOf(f32Of(norm.weight));
    const offsets = bias === undefined ? 0 : memory.addressOf(f32Of(bias));
    if (x.count === 0 || width === 0) return;
    kernels.matmul_weight(...weightArguments(weight, memory));
    const workBytes = kernels.matmul_work(x.count, width, inputs);
    const preparedRows = kernels.matmul_prepares(x.count, norm === undefined ? 0 : 1) === 0 ? 0 : x.count;
    const [prepared = 0, scales = 0, threadWork = 0] = work.reserve(
      4 * preparedRows * inputs,
      4 * preparedRows * Math.ceil(inputs / BLOCK),
      threads * workBytes,
    );
    const perOutput = x.count * inputs * (activation === undefined ? 1 : 2);
    const most = threads * Math.max(LEAST_PANEL, Math.floor(PRODUCTS_AT_ONCE / Math.max(1, perOutput)));
    for (let from = 0; from < width; from += most) {
      poll();
      kernels.matmul(
        source,
        x.count,
        normed,
        norm?.epsilon ?? 0,
        width,
        from,
        Math.min(width, from + most),
        offsets,
        before,
        activation === undefined ? 0 : ACTIVATIONS[activation],
        softCap ?? 0,
        target,
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
