import { rows, type DeviceTensor } from "@winnow/core-tensor";

import { randomTensor } from "./random-data";
import type { OperationRow, Skipped } from "./result";
import type { ShapeBench } from "./shape-bench";
import { productWork } from "./work";

/** A decoder's product as it is in every layer: repetitions take one layer after the other, so that no cache has the weight. */
interface Product {
  readonly name: string;
  readonly weights: readonly DeviceTensor[];
  /** The norms before it, by layer; empty where it has none. */
  readonly norms: readonly DeviceTensor[];
  readonly form: "plain" | "gated" | "residual";
}

/** The products of a layer, and the head, for so many rows, with what the decoder fuses into them. */
export async function measureProducts(bench: ShapeBench, rowCount: number): Promise<(OperationRow | Skipped)[]> {
  const measured: (OperationRow | Skipped)[] = [];
  for (const product of productsOf(bench)) {
    const name = `${product.name}, ${formatRows(rowCount)}`;
    measured.push(await bench.attempt(name, () => measureProduct(bench, name, product, rowCount)));
  }
  return measured;
}

export function formatRows(count: number): string {
  return count === 1 ? "1 row" : `${count} rows`;
}

function productsOf({ model }: ShapeBench): Product[] {
  const { layers, norm, head } = model.engine.decoder.weights;
  return [
    {
      name: "qkv",
      weights: layers.flatMap(({ qkv }) => qkv.map(({ weight }) => weight)),
      norms: layers.map(({ attentionNorm }) => attentionNorm),
      form: "plain",
    },
    { name: "output", weights: layers.map(({ output }) => output.weight), norms: [], form: "residual" },
    {
      name: "gate-up",
      weights: layers.map(({ gateUp }) => gateUp.weight),
      norms: layers.map(({ feedForwardNorm }) => feedForwardNorm),
      form: "gated",
    },
    { name: "down", weights: layers.map(({ down }) => down.weight), norms: [], form: "residual" },
    { name: "head", weights: [head], norms: [norm], form: "plain" },
  ];
}

async function measureProduct(
  bench: ShapeBench,
  name: string,
  { weights, norms, form }: Product,
  rowCount: number,
): Promise<OperationRow> {
  const { backend, model } = bench;
  const [outputs = 0, inputs = 0] = weights[0]?.shape ?? [];
  const gated = form === "gated";
  const residual = form === "residual";
  using x = randomTensor(backend, [rowCount, inputs]);
  using out = backend.allocate("f32", [rowCount, gated ? outputs / 2 : outputs], {
    label: "bench.out",
    category: "activations",
  });
  const weightBytes = weights[0]?.bytes ?? 0;
  const work = productWork({ rows: rowCount, inputs, outputs, weightBytes, gated, residual });
  return await bench.operation(name, work, (repetition) => {
    const weight = weights[repetition % weights.length];
    const norm = norms[repetition % norms.length];
    if (weight === undefined) return;
    backend.matmul({
      x: rows(x),
      ...(norm === undefined ? {} : { norm: { weight: norm, epsilon: model.config.normEpsilon } }),
      weight,
      ...(gated ? { activation: "silu-gate" } : {}),
      ...(residual ? { residual: rows(out) } : {}),
      out: rows(out),
    });
  });
}
