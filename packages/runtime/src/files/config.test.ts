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
      sights: new Array(4).fill({ window: null, rotation: "global" }),
      attentionScale: 1 / Math.sqrt(32),
      scoreCap: null,
      logitCap: null,
      windowTheta: null,
      normOffset: 0,
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

  const windows = (...sizes: readonly (number | null)[]): object => ({
    sights: sizes.map((window) => expect.objectContaining({ window }) as unknown),
  });

  it.each([
    [
      { architectures: ["MistralForCausalLM"], max_position_embeddings: 32768 },
      { context: 32768, qkvBias: false, ...windows(4096, 4096) },
    ],
    [{ model_type: "mistral", architectures: null, sliding_window: null }, windows(null, null)],
    [
      { architectures: ["Qwen2ForCausalLM"], sliding_window: 64, use_sliding_window: false },
      { qkvBias: true, outputBias: false, feedForwardBias: false, ...windows(null, null) },
    ],
    [
      { architectures: ["Qwen2ForCausalLM"], sliding_window: 64, use_sliding_window: true, max_window_layers: 1 },
      windows(null, 64),
    ],
    [
      { architectures: ["Gemma2ForCausalLM"], query_pre_attn_scalar: 144 },
      {
        scoreCap: 50,
        logitCap: 30,
        attentionScale: 1 / 12,
        tiedHead: true,
        normOffset: 1,
        ...windows(4096, null),
      },
    ],
    [
      { architectures: ["Gemma2ForCausalLM"], attn_logit_softcapping: null },
      { scoreCap: null, logitCap: 30 },
    ],
    [
      { architectures: ["SmolLM3ForCausalLM"], no_rope_layers: [1, 0] },
      { sights: [{ rotation: "global" }, { rotation: "none" }] },
    ],
  ])("knows what a family adds to Llama: %j", (fields, expected) => {
    const config = parseModelConfig({ ...LLAMA, num_hidden_layers: 2, ...fields }, "c");
    expect(config).toMatchObject(expected);
  });

  it("of Gemma 3 has five layers in a window to each that sees everything, by either spelling of rotation", () => {
    const old = { rope_theta: 1e6, rope_local_base_freq: 1e4, rope_scaling: { rope_type: "linear", factor: 8 } };
    const anew = {
      rope_parameters: {
        full_attention: { rope_type: "linear", factor: 8, rope_theta: 1e6 },
        sliding_attention: { rope_type: "default", rope_theta: 1e4 },
      },
    };
    for (const rope of [old, anew]) {
      const gemma = { ...LLAMA, architectures: ["Gemma3ForCausalLM"], hidden_activation: "gelu_pytorch_tanh" };
      const config = parseModelConfig({ ...gemma, num_hidden_layers: 7, sliding_window: 512, ...rope }, "c");
      expect(config).toMatchObject({ ropeTheta: 1e6, windowTheta: 1e4, ropeScaling: { kind: "linear", factor: 8 } });
      expect(config.sights.map(({ window }) => window)).toEqual([512, 512, 512, 512, 512, null, 512]);
      expect(config.sights.map(({ rotation }) => rotation === "global")).toEqual(
        config.sights.map(({ window }) => window === null),
      );
    }
  });

  it("of Phi-3 has a magnitude that follows from how far the context is stretched", () => {
    const factors = new Array<number>(8).fill(1.5);
    const config = parseModelConfig(
      {
        ...LLAMA,
        architectures: ["Phi3ForCausalLM"],
        max_position_embeddings: 131072,
        original_max_position_embeddings: 4096,
        rope_scaling: { type: "longrope", short_factor: factors, long_factor: factors },
      },
      "c",
    );
    // Phi-3-mini-128k-instruct's `modeling_phi3.py`: sqrt(1 + log(131072 / 4096) / log(4096)).
    expect(config.ropeScaling).toMatchObject({ kind: "longrope", magnitude: 1.1902380714238083 });
    expect(config.context).toBe(131072);
  });

  it("of YaRN and dynamic scaling may be read as far as they stretch", () => {
    for (const kind of ["yarn", "dynamic"]) {
      const rope_scaling = { rope_type: kind, factor: 4, original_max_position_embeddings: 128 };
      expect(parseModelConfig({ ...LLAMA, rope_scaling }, "c").context).toBe(512);
    }
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
      { rope_scaling: { rope_type: "mine", factor: 2 } },
      "model",
      /rope_scaling: type "mine" is not supported; supported: default, linear, dynamic, llama3, yarn, longrope/,
    ],
    [
      "another rotation, spelled anew",
      { rope_parameters: { rope_type: "proportional", factor: 2 } },
      "model",
      /rope_parameters: type "proportional"/,
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
