import { checkMatmul, type MatmulSpec } from "@winnow/core-tensor";
import { f32Of, f32Rows, widthOf, type Poll } from "@winnow/core-tensor/cpu";

import type { Address, WeightArguments } from "../kernels";
import type { Machine } from "../machine";
import { prepareOnce } from "./prepared";
import { weightArguments } from "./weight-arguments";

const ACTIVATIONS = { "silu-gate": 1, "gelu-gate": 2 } as const;

/** Multiplications of a thread between two looks at whether to stop: some tens of milliseconds. */
const PRODUCTS_AT_ONCE = 2e8;
/** Outputs of a task, at least, as in `matmul.c`: so many for each thread, or some have none. */
const LEAST_PANEL = 16;
/** Elements of x that are rounded with one scale. */
const BLOCK = 32;

/** What a product comes to. */
interface Product {
  readonly rows: number;
  readonly inputs: number;
  /** Outputs of a row. */
  readonly width: number;
  readonly x: Address;
  readonly weight: WeightArguments;
  readonly normWeight: Address;
  readonly normEpsilon: number;
  readonly bias: Address;
  readonly residual: Address;
  readonly activation: number;
  readonly softCap: number;
  readonly out: Address;
  readonly outStride: number;
}

/** out = softCap(activation(norm(x) · weightᵀ + bias)) + residual. */
export function matmulOf(machine: Machine): (spec: MatmulSpec, poll: Poll) => void {
  const { kernels, work, threads } = machine;
  const productOf = prepareOnce((spec: MatmulSpec) => prepare(machine, spec));
  return (spec, poll) => {
    const product = productOf(spec);
    const { rows, inputs, width } = product;
    if (rows === 0 || width === 0) return;
    kernels.matmul_weight(...product.weight);
    const workBytes = kernels.matmul_work(rows, width, inputs);
    const preparedRows = kernels.matmul_prepares(rows, product.normWeight === 0 ? 0 : 1) === 0 ? 0 : rows;
    const [prepared = 0, scales = 0, threadWork = 0] = work.reserve(
      4 * preparedRows * inputs,
      4 * preparedRows * Math.ceil(inputs / BLOCK),
      threads * workBytes,
    );
    const perOutput = rows * inputs * (product.activation === 0 ? 1 : 2);
    const most = threads * Math.max(LEAST_PANEL, Math.floor(PRODUCTS_AT_ONCE / Math.max(1, perOutput)));
    for (let from = 0; from < width; from += most) {
      poll();
      kernels.matmul(
        product.x,
        rows,
        product.normWeight,
        product.normEpsilon,
        width,
        from,
        Math.min(width, from + most),
        product.bias,
        product.residual,
        product.activation,
        product.softCap,
        product.out,
        product.outStride,
        prepared,
        scales,
        threadWork,
        workBytes,
        from === 0 ? 1 : 0,
      );
    }
  };
}

function prepare({ memory }: Machine, spec: MatmulSpec): Product {
  const { x, norm, weight, bias, residual, activation, softCap = 0, column = 0, out } = spec;
  const width = checkMatmul(spec);
  return {
    rows: x.count,
    inputs: widthOf(x.tensor),
    width,
    x: memory.addressOf(f32Rows("matmul", "x", x)),
    weight: weightArguments(weight, memory),
    normWeight: norm === undefined ? 0 : memory.addressOf(f32Of(norm.weight)),
    normEpsilon: norm?.epsilon ?? 0,
    bias: bias === undefined ? 0 : memory.addressOf(f32Of(bias)),
    residual: residual === undefined ? 0 : memory.addressOf(f32Rows("matmul", "residual", residual)) + 4 * column,
    activation: activation === undefined ? 0 : ACTIVATIONS[activation],
    softCap,
    out: memory.addressOf(f32Rows("matmul", "out", out)) + 4 * column,
    outStride: widthOf(out.tensor),
  };
}
