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
  /** Bytes of x made ready, of its scales, and of what all threads work in. */
  readonly workBytes: readonly [prepared: number, scales: number, threads: number];
}

/** out = softCap(activation(norm(x) · weightᵀ + bias)) + residual. */
export function matmulOf(machine: Machine): (spec: MatmulSpec, poll: Poll) => void {
  const { kernels, work, threads } = machine;
  const productOf = prepareOnce((spec: MatmulSpec) => prepare(machine, spec));
  return (spec, poll) => {
    const product = productOf(spec);
    const { rows, inputs, width } = product;
    if (rows === 0 || width === 0) return;
    const { weight, workBytes } = product;
    kernels.matmul_weight(weight[0], weight[1], weight[2], weight[3]);
    const [prepared = 0, scales = 0, threadWork = 0] = work.reserve(workBytes[0], workBytes[1], workBytes[2]);
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
        workBytes[2] / threads,
        from === 0 ? 1 : 0,
      );
    }
  };
}

function prepare({ kernels, memory, threads }: Machine, spec: MatmulSpec): Product {
  const { x, norm, bias, residual, activation, softCap = 0, column = 0, out } = spec;
  const width = checkMatmul(spec);
  const inputs = widthOf(x.tensor);
  const weight = weightArguments(spec.weight, memory);
  kernels.matmul_weight(...weight);
  const preparedRows = kernels.matmul_prepares(x.count, norm === undefined ? 0 : 1) === 0 ? 0 : x.count;
  return {
    rows: x.count,
    inputs,
    width,
    workBytes: [
      4 * preparedRows * inputs,
      4 * preparedRows * Math.ceil(inputs / BLOCK),
      threads * kernels.matmul_work(x.count, width, inputs),
    ],
    x: memory.addressOf(f32Rows("matmul", "x", x)),
    weight,
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
