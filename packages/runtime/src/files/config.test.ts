import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

import { parseModelConfig, readModelConfig } from "./config";
import { readGenerationConfig } from "./generation-config";
import { failureOf } from "./testing/failure";
import { temporaryDirectory } from "./testing/temporary-directory";

const at = temporaryDirectory();
const root = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));

/** The least that a config.json has to say. */
const LLAMA = {
  architectures: ["LlamaForCausalLM"],
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  vocab_size: 100,
};
const LLAMA3_ROPE = {
  rope_type: "llama3",
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

describe("config.json", () => {
  it("of the demo model", async () => {
    expect(await readModelConfig(root("models/demo"))).toEqual({
      architecture: "LlamaForCausalLM",
      width: 256,
      feedForward: 512,
      layers: 4,
      queryHeads: 8,
      kvHeads: 4,
      headDim: 32,
      context: 1024,
      vocabulary: 1296,
      normEpsilon: 1e-5,
      ropeTheta: 10000,
      ropeScaling: { kind: "none" },
      qkvBias: false,
      outputBias: false,
      feedForwardBias: false,
      tiedHead: true,
      bosIds: [0],
      eosIds: [6],
    });
  });

  it("of the tiny model, with everything that the demo model has not", async () => {
    expect(await readModelConfig(root("goldens/tiny-model"))).toMatchObject({
      width: 72,
      queryHeads: 6,
      kvHeads: 2,
      headDim: 16,
      ropeTheta: 50000,
      ropeScaling: { kind: "llama3", factor: 4, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 64 },
      qkvBias: true,
      outputBias: true,
      feedForwardBias: true,
      tiedHead: false,
    });
  });

  it("fills in what may be left out", () => {
    expect(parseModelConfig(LLAMA, "c")).toMatchObject({
      kvHeads: 4,
      headDim: 16,
      ropeTheta: 10000,
      ropeScaling: { kind: "none" },
      tiedHead: false,
      qkvBias: false,
      outputBias: false,
      bosIds: [],
      eosIds: [],
    });
    expect(
      parseModelConfig(
        { ...LLAMA, architectures: null, model_type: "llama", eos_token_id: [1, 2], bos_token_id: null },
        "c",
      ),
    ).toMatchObject({
      bosIds: [],
      eosIds: [1, 2],
    });
  });

  it.each([
    [{ rope_scaling: LLAMA3_ROPE, rope_theta: 5e5 }, 5e5, "llama3"],
    [{ rope_scaling: { ...LLAMA3_ROPE, rope_type: undefined, type: "llama3" }, rope_theta: 5e5 }, 5e5, "llama3"],
    [{ rope_parameters: { ...LLAMA3_ROPE, rope_theta: 5e5 } }, 5e5, "llama3"],
    [{ rope_parameters: { rope_type: "default", rope_theta: 2e6 } }, 2e6, "none"],
    [{ rope_parameters: { rope_theta: 2e6 }, rope_scaling: null }, 2e6, "none"],
    [{ rope_scaling: { type: "default" } }, 1e4, "none"],
    [{ rope_scaling: { type: "linear", factor: 2 } }, 1e4, "linear"],
  ])("reads every spelling of rotation: %j", (fields, theta, kind) => {
    const config = parseModelConfig({ ...LLAMA, ...fields }, "c");
    expect(config.ropeTheta).toBe(theta);
    expect(config.ropeScaling.kind).toBe(kind);
  });

  it.each([
    [
      { architectures: ["MistralForCausalLM"], max_position_embeddings: 32768 },
      { context: 4096, qkvBias: false },
    ],
    [{ model_type: "mistral", architectures: null, max_position_embeddings: 2048 }, { context: 2048 }],
    [
      { architectures: ["MistralForCausalLM"], sliding_window: null, max_position_embeddings: 32768 },
      { architecture: "MistralForCausalLM", context: 32768 },
    ],
    [
      { architectures: ["Qwen2ForCausalLM"], sliding_window: 64, use_sliding_window: false },
      { architecture: "Qwen2ForCausalLM", context: 128, qkvBias: true, outputBias: false, feedForwardBias: false },
    ],
    [{ architectures: ["Qwen2ForCausalLM"], sliding_window: 64, use_sliding_window: true }, { context: 64 }],
  ])("knows what a family adds to Llama, and how far a window sees: %j", (fields, expected) => {
    expect(parseModelConfig({ ...LLAMA, ...fields }, "c")).toMatchObject(expected);
  });

  it.each<[string, Readonly<Record<string, unknown>>, string, RegExp]>([
    [
      "another architecture",
      { architectures: ["MambaForCausalLM"] },
      "model",
      /architecture "MambaForCausalLM" is not supported; supported: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM/,
    ],
    [
      "another model type",
      { architectures: undefined, model_type: "gpt2" },
      "model",
      /architecture of model_type "gpt2" is not supported/,
    ],
    ["no architecture", { architectures: [] }, "model", /architecture not named is not supported/],
    ["another activation", { hidden_act: "gelu" }, "model", /hidden_act "gelu" is not supported; supported: silu/],
    ["partial rotation", { partial_rotary_factor: 0.5 }, "model", /partial_rotary_factor "0.5" is not supported/],
    [
      "quantised weights",
      { quantization_config: { quant_method: "gptq" } },
      "model",
      /quantised weights are not supported; use the F32, F16 or BF16 checkpoint/,
    ],
    [
      "another rotation",
      { rope_scaling: { rope_type: "yarn", factor: 2 } },
      "model",
      /rope_scaling: type "yarn" is not supported; supported: default, linear, llama3/,
    ],
    [
      "another rotation, spelled anew",
      { rope_parameters: { rope_type: "dynamic", factor: 2 } },
      "model",
      /rope_parameters: type "dynamic"/,
    ],
    [
      "a rotation without its numbers",
      { rope_scaling: { rope_type: "llama3", factor: 8 } },
      "file",
      /rope_scaling: "low_freq_factor" expected a number/,
    ],
    [
      "frequencies the wrong way round",
      { rope_scaling: { ...LLAMA3_ROPE, high_freq_factor: 1 } },
      "file",
      /high_freq_factor is 1, expected above low_freq_factor, 1/,
    ],
    ["no width", { hidden_size: undefined }, "file", /"hidden_size" expected a whole number/],
    ["no layers", { num_hidden_layers: 0 }, "file", /"num_hidden_layers" expected at least 1, found 0/],
    [
      "more layers than can be",
      { num_hidden_layers: 1e9 },
      "file",
      /"num_hidden_layers" expected at most 10000, found 1000000000/,
    ],
    ["a width in words", { hidden_size: "64" }, "file", /"hidden_size" expected a whole number, found "64"/],
    [
      "heads that do not group",
      { num_key_value_heads: 3 },
      "file",
      /num_attention_heads is 4, expected a multiple of num_key_value_heads, 3/,
    ],
    [
      "a width that heads do not share",
      { hidden_size: 65 },
      "file",
      /hidden_size is not a multiple of num_attention_heads, 4; give head_dim/,
    ],
    ["an odd head", { head_dim: 15 }, "file", /head_dim is 15, expected an even number/],
    ["a norm without epsilon", { rms_norm_eps: 0 }, "file", /"rms_norm_eps" expected above 0, found 0/],
    ["a negative theta", { rope_theta: -1 }, "file", /"rope_theta" expected above 0/],
    [
      "an end of text beyond the vocabulary",
      { eos_token_id: [1, 100] },
      "file",
      /token id 100 is named, expected ids below vocab_size, 100/,
    ],
    [
      "an end of text that is no id",
      { eos_token_id: "</s>" },
      "file",
      /"eos_token_id" expected a token id or an array of them, found "<\/s>"/,
    ],
  ])("refuses %s", async (_, fields, code, message) => {
    const error = await failureOf(() => parseModelConfig({ ...LLAMA, ...fields }, "dir/config.json"));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).toContain("dir/config.json: ");
  });

  it("says what is wrong with the file itself", async () => {
    const error = await failureOf(() => readModelConfig(at()));
    expect(error.message).toBe(`${at("config.json")}: no such file`);
    await writeFile(at("config.json"), '{"hidden_size": ');
    expect((await failureOf(() => readModelConfig(at()))).message).toMatch(/config\.json: not valid JSON/);
    await writeFile(at("config.json"), "[]");
    expect((await failureOf(() => readModelConfig(at()))).message).toMatch(/config\.json: expected an object/);
    await writeFile(at("config.json"), Uint8Array.of(0xff));
    expect((await failureOf(() => readModelConfig(at()))).message).toMatch(/config\.json: not valid UTF-8/);
    await mkdir(at("inner", "config.json"), { recursive: true });
    expect((await failureOf(() => readModelConfig(at("inner")))).message).toMatch(/config\.json: not a regular file/);
  });
});

describe("generation_config.json", () => {
  const GREEDY = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };
  const read = async (json: unknown) => {
    await writeFile(at("generation_config.json"), JSON.stringify(json));
    return readGenerationConfig(at());
  };

  it("of the models here", async () => {
    expect(await readGenerationConfig(root("models/demo"))).toEqual({ sampling: GREEDY, eosIds: [6, 1] });
    expect(await readGenerationConfig(root("goldens/tiny-model"))).toMatchObject({
      sampling: { temperature: 0.8, topK: 40, topP: 0.95 },
    });
  });

  it("may be missing or silent: greedy", async () => {
    expect(await readGenerationConfig(at("nowhere"))).toEqual({ sampling: GREEDY, eosIds: [] });
    expect(await read({})).toEqual({ sampling: GREEDY, eosIds: [] });
  });

  it.each([
    [{ do_sample: false, temperature: 0.7 }, { temperature: 0 }],
    [{ do_sample: true }, { temperature: 1 }],
    [
      { do_sample: true, temperature: 0.6, top_p: 0.9, top_k: 50, min_p: 0.1 },
      { temperature: 0.6, topP: 0.9, topK: 50, minP: 0.1 },
    ],
    [
      { temperature: 0.7, repetition_penalty: 1.1 },
      { temperature: 0.7, repetitionPenalty: 1.1 },
    ],
    [
      { temperature: null, top_k: null },
      { temperature: 0, topK: 0 },
    ],
  ])("%j", async (json, expected) => {
    expect((await read(json)).sampling).toMatchObject(expected);
  });

  it.each([
    [{ top_p: 0 }, /"top_p" expected in \(0, 1\], found 0/],
    [{ top_k: 1.5 }, /"top_k" expected a whole number, found 1.5/],
    [{ temperature: -1 }, /"temperature" expected at least 0, found -1/],
    [{ min_p: 1 }, /"min_p" expected in \[0, 1\), found 1/],
    [{ repetition_penalty: 0 }, /"repetition_penalty" expected above 0/],
    [{ eos_token_id: -1 }, /"eos_token_id" expected a token id/],
  ])("refuses %j", async (json, message) => {
    const error = await failureOf(() => read(json));
    expect(error.code).toBe("file");
    expect(error.message).toMatch(message);
  });
});
