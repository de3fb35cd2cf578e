import { directoryFiles, idsPart, loadModel } from "@winnow/runtime";
import { expect, test } from "vitest";

import { repositoryRoot } from "../repository";
import { randomModelFiles } from "./random-model";

const CONFIG = {
  architectures: ["LlamaForCausalLM"],
  hidden_act: "silu",
  max_position_embeddings: 64,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  vocab_size: 1500,
  tie_word_embeddings: false,
};

function tiny() {
  return randomModelFiles("tiny", CONFIG, directoryFiles(`${repositoryRoot()}/models/demo`));
}

test("a shape's random model loads and writes tokens", async () => {
  using model = await loadModel(tiny());
  expect(model.config).toMatchObject({ layers: 2, vocabulary: 1500, headDim: 8 });
  using session = model.createSession({ policy: "full" });
  const { tokens } = await session
    .generate([idsPart(model.tokenizer, [0, 5, 9])], { maxTokens: 4, ignoreEos: true, temperature: 0 })
    .report();
  expect(tokens).toHaveLength(4);
  expect(tokens.every((id) => id >= 0 && id < 1500)).toBe(true);
});

test("its file has the same bytes in whatever pieces it is read", async () => {
  const file = await tiny().open("model.safetensors");
  if (file === null) throw new Error("the model has no weights");
  const whole = new Uint8Array(file.size);
  await file.read(whole, 0);
  const pieces = new Uint8Array(file.size);
  // An odd length: pieces begin within the header, and within numbers.
  for (let at = 0; at < file.size; at += 1009) await file.read(pieces.subarray(at, at + 1009), at);
  expect(Buffer.compare(pieces, whole)).toBe(0);
  await expect(file.read(new Uint8Array(2), file.size - 1)).rejects.toThrow(`tiny/model.safetensors ends at byte`);
});
