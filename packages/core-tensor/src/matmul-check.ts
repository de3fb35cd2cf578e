import type { MatmulSpec } from "./backend";
import { elementCount, expectShape } from "./shape";
import { expectOutput } from "./output-check";

/**
 * What every backend checks of a `matmul` before it begins.
 *
 * @returns outputs of a row: half as many as the weight has where they are gated.
 * @throws WinnowError `shape` when operands do not fit together.
 */
export function checkMatmul({ x, norm, weight, bias, residual, activation, column, out }: MatmulSpec): number {
  const inputs = elementCount(x.tensor.shape.slice(1));
  const outputs = weight.shape[0] ?? 0;
  const width = activation === undefined ? outputs : outputs / 2;
  expectShape("matmul", "weight", weight.shape, [null, inputs]);
  if (bias !== undefined) expectShape("matmul", "bias", bias.shape, [outputs]);
  if (norm !== undefined) expectShape("matmul", "the norm's weight", norm.weight.shape, [inputs]);
  expectOutput("out", out, x.count, width, column);
  if (residual !== undefined) expectOutput("residual", residual, x.count, elementCount(out.tensor.shape.slice(1)));
  return width;
}
