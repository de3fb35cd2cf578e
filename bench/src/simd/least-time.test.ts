import { expect, test } from "vitest";

import { MODELS } from "../peers/models";
import { SMOLLM2_135M } from "../peers/smollm2";
import { DEMO, leastMs, promptWork } from "./least-time";

test.each([
  ["135m q8_0", SMOLLM2_135M],
  ["demo f16", DEMO],
] as const)("a token's products are as many as the weights of %s, but for norms", (name, shape) => {
  const { weights, attention } = promptWork(shape, 1);
  const { num_hidden_layers: layers, num_attention_heads: heads, head_dim: headDim, hidden_size: hidden } = shape;
  expect(weights).toBe(MODELS[name].weights - (2 * layers + 1) * hidden);
  expect(attention).toBe(2 * layers * heads * headDim);
});

test("the least time is that of both kinds of products, one after the other", () => {
  expect(leastMs({ weights: 3e9, attention: 1e9 }, 1e9, 5e8)).toBe(5000);
});
