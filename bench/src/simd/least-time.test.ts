import { expect, test } from "vitest";

import { MODELS } from "../peers/models";
import { weightElements } from "../peers/model-shape";
import { leastMs, promptWork } from "./least-time";

test.each(["135m q8_0", "demo f16"] as const)(
  "a token's products are as many as the weights of %s, but for norms",
  (name) => {
    const { shape } = MODELS[name];
    const { weights, attention } = promptWork(shape, 1);
    const { num_hidden_layers: layers, num_attention_heads: heads, head_dim: headDim, hidden_size: hidden } = shape;
    expect(weights).toBe(weightElements(shape) - (2 * layers + 1) * hidden);
    expect(attention).toBe(2 * layers * heads * headDim);
  },
);

test("the least time is that of both kinds of products, one after the other", () => {
  expect(leastMs({ weights: 3e9, attention: 1e9 }, 1e9, 5e8)).toBe(5000);
});
