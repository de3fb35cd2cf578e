import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { ggufOf } from "../checkpoint/testing/gguf-of";
import { temporaryDirectory } from "../files/testing/temporary-directory";
import { writeSafetensors, type TensorToWrite } from "../files/testing/write-safetensors";
import { openWeights } from "../files/weights";
import { loadModel } from "../model";
import { idsPart } from "../prompt/parts";
import { TINY } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import { randomModel } from "../testing/random-model";
import { rotaryOf } from "./rope";

const at = temporaryDirectory();
const OTHERS = ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"];
const IDS = [0, 4, 290, 17, 300, 41, 7, 99, 250, 31, 8, 8, 119, 64, 2, 5];

/** The tiny model with another configuration, and with its biases changed or left out. */
async function variant(
  name: string,
  change: Readonly<Record<string, unknown>>,
  biasOf: (name: string, data: Uint8Array) => Uint8Array | null,
): Promise<string> {
  const dir = at(name);
  await using weights = await openWeights(TINY);
  const tensors: TensorToWrite[] = [];
  for (const key of weights.tensors.keys()) {
    const { shape, data } = await weights.read(key);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const kept = key.endsWith(".bias") ? biasOf(key, bytes) : bytes;
    if (kept !== null) tensors.push({ name: key, dtype: "BF16", shape, data: kept });
  }
  await mkdir(dir);
  for (const file of OTHERS) await copyFile(join(TINY, file), join(dir, file));
  const config = JSON.parse(await readFile(join(TINY, "config.json"), "utf8")) as object;
  await writeFile(join(dir, "config.json"), JSON.stringify({ ...config, ...change }));
  await writeSafetensors(join(dir, "model.safetensors"), tensors);
  return dir;
}

async function answerOf(place: string): Promise<unknown> {
  using model = await loadModel(place);
  using session = model.createSession({ policy: "full" });
  const options = { temperature: 0, maxTokens: 6, ignoreEos: true, topTokens: 4 };
  const generation = session.generate([idsPart(model.tokenizer, IDS)], options);
  const tokens = [];
  for await (const event of generation)
    if (event.kind === "token") tokens.push([event.id, event.logProbability, event.top]);
  return tokens;
}

const isQkv = (name: string): boolean => /[qkv]_proj/.test(name);
const zeros = (data: Uint8Array): Uint8Array => new Uint8Array(data.length);
const QWEN2 = {
  architectures: ["Qwen2ForCausalLM"],
  attention_bias: undefined,
  mlp_bias: undefined,
  rope_scaling: null,
};

describe("a family's model", () => {
  it("Qwen2 is Llama with biases of q, k and v alone", async () => {
    const llama = await variant("llama-qkv", { rope_scaling: null }, (name, data) =>
      isQkv(name) ? data : zeros(data),
    );
    const qwen = await variant("qwen2", QWEN2, (name, data) => (isQkv(name) ? data : null));
    expect(await answerOf(qwen)).toEqual(await answerOf(llama));
  });

  it("Mistral is Llama until its window no longer reaches back to the first token", async () => {
    const none = { attention_bias: undefined, mlp_bias: undefined, rope_scaling: null };
    const llama = await variant("llama-plain", none, () => null);
    const mistral = await variant(
      "mistral",
      { ...none, architectures: ["MistralForCausalLM"], sliding_window: 20 },
      () => null,
    );
    const first = (answer: unknown): unknown => (answer as readonly unknown[]).slice(0, 4);
    // Of the six tokens behind the prompt's sixteen, the last two come from rows that do not see the first one.
    const [windowed, whole] = [await answerOf(mistral), await answerOf(llama)];
    expect(first(windowed)).toEqual(first(whole));
    expect(windowed).not.toEqual(whole);
  });

  it.each([{ rope_scaling: null }, { rope_scaling: { rope_type: "linear", factor: 2 } }])(
    "Qwen2 is the same as a GGUF file: %j",
    async (change) => {
      const name = `qwen2-${change.rope_scaling?.rope_type ?? "plain"}`;
      const dir = await variant(name, { ...QWEN2, ...change }, (name, data) => (isQkv(name) ? data : null));
      const epsilon = { "qwen2.attention.layer_norm_rms_epsilon": { type: "float64", value: 1e-6 } } as const;
      const [file = new Uint8Array(0)] = await ggufOf(dir, { change: epsilon });
      const path = at(`${name}.gguf`);
      await writeFile(path, file);
      expect(await answerOf(path)).toEqual(await answerOf(dir));
    },
  );
});

describe("each family's cache", () => {
  it.each([
    ["Qwen3ForCausalLM", {}],
    ["Phi3ForCausalLM", {}],
    ["Gemma2ForCausalLM", { sliding_window: 40 }],
    ["Gemma3ForCausalLM", { num_hidden_layers: 6, sliding_window: 40 }],
    ["SmolLM3ForCausalLM", {}],
  ])("is cut by FastGen and the adaptive policies, of %s", async (architecture, fields) => {
    const dir = await randomModel(at(architecture), { architectures: [architecture], ...fields });
    using model = await loadModel(dir);
    const ids = goldenIds("demo", 120);
    for (const policy of ["fastgen", "adaptive"]) {
      using session = model.createSession({ policy, recovery: 0.6 });
      const options = { maxTokens: 12, temperature: 0, ignoreEos: true };
      const { kv } = await session.generate([idsPart(model.tokenizer, ids)], options).report();
      expect(kv.bytes, policy).toBeLessThan(kv.fullBytes);
      // A policy loses no more of a head's attention than it was allowed to, but where it keeps everything.
      kv.recovery.flat().forEach((recovery) => {
        expect(recovery ?? 0, policy).toBeGreaterThanOrEqual(0.6);
      });
    }
    expect(model.engine.store.livePages).toBe(0);
  });
});

describe("rotation", () => {
  it("scaled linearly turns by as much at twice the position", () => {
    const [plain, slowed] = [
      rotaryOf(8, 1e4, { kind: "none" }, 64).frequencies,
      rotaryOf(8, 1e4, { kind: "linear", factor: 2 }, 64).frequencies,
    ];
    expect(slowed.map((frequency) => 2 * frequency)).toEqual(plain);
  });

  it("scaled dynamically has a base that grows with the context beyond the original one", () => {
    const [factor, originalContext, headDim, theta] = [4, 128, 16, 1e4];
    const scaling = { kind: "dynamic", factor, originalContext } as const;
    for (const context of [64, 128]) {
      expect(rotaryOf(headDim, theta, scaling, context)).toEqual(rotaryOf(headDim, theta, { kind: "none" }, context));
    }
    // Transformers' `_compute_dynamic_ntk_parameters`, for a sequence of 512 tokens.
    const base = theta * ((factor * 512) / originalContext - (factor - 1)) ** (headDim / (headDim - 2));
    rotaryOf(headDim, theta, scaling, 512).frequencies.forEach((frequency, i) => {
      expect(frequency).toBeCloseTo(1 / base ** ((2 * i) / headDim), 12);
    });
  });

  it("with a factor for each frequency is Llama 3's where the factors are", () => {
    const llama3 = { factor: 4, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 64 };
    const plain = rotaryOf(16, 5e4, { kind: "none" }, 64).frequencies;
    const slowed = rotaryOf(16, 5e4, { kind: "llama3", ...llama3 }, 64).frequencies;
    const factors = Array.from(plain, (frequency, i) => frequency / (slowed[i] ?? NaN));
    const found = rotaryOf(16, 5e4, { kind: "factors", factors }, 64).frequencies;
    found.forEach((frequency, i) => {
      expect(frequency).toBeCloseTo(slowed[i] ?? NaN, 12);
    });
  });
});
