import { rows, type MatmulSpec } from "@winnow/core-tensor";

import type { WeightStorage } from "../../wgsl/elements";
import type { Workbench } from "../../tune/kernel-family";
import type { MatmulForm } from "./matmul-form.wgsl";

/** What the time of a product depends on, beside its rows. */
export interface ProductShape {
  readonly weight: WeightStorage;
  readonly inputs: number;
  /** Outputs of a row: of a gated product, half of the weight's rows. */
  readonly outputs: number;
  readonly gated: boolean;
}

/** @example productKey({ weight: "q4_0", inputs: 64, outputs: 32, gated: true }) // "q4_0 64→32 gated" */
export function productKey({ weight, inputs, outputs, gated }: ProductShape): string {
  return `${weight} ${inputs}→${outputs}${gated ? " gated" : ""}`;
}

/** The form of a shape that has nothing that it need not have. */
export function productForm({ weight, inputs, gated }: ProductShape): MatmulForm {
  const gate = gated ? "silu" : null;
  return { aligned: inputs % 4 === 0, weight, gate, capped: false, bias: null, residual: "none" };
}

/** Products of a shape to time: the repetitions take weights in turn, as the layers of a model do. */
export function productSpecs(
  { weight, inputs, outputs, gated }: ProductShape,
  count: number,
  normed: boolean,
  bench: Workbench,
): (repetition: number) => MatmulSpec {
  const x = bench.allocate("f32", [count, inputs]);
  const out = bench.result([count, outputs]);
  const gain = normed ? bench.allocate("f32", [inputs]) : null;
  const shape = [gated ? 2 * outputs : outputs, inputs];
  const first = bench.allocate(weight, shape);
  const others = Array.from({ length: bench.copies(first.bytes) - 1 }, () => bench.allocate(weight, shape));
  const weights = [first, ...others];
  return (repetition) => ({
    x: rows(x),
    ...(gain === null ? {} : { norm: { weight: gain, epsilon: 1e-5 } }),
    weight: weights[repetition % weights.length] ?? first,
    ...(gated ? { activation: "silu-gate" } : {}),
    out: rows(out),
  });
}
