import { WinnowError } from "@winnow/core-tensor";

import type { ModelConfig } from "../files/config";
import type { GgufFile } from "../files/gguf-file";
import { quote } from "../files/quote";
import { stretchedContext, yarnMagnitude } from "../files/rope-config";
import { FAMILIES } from "../models/families";
import { layersOf } from "../models/layer-sight";
import type { RopeScaling } from "../models/rope";
import type { GgufMetadata } from "./gguf-metadata";

/** Factors that Llama 3.1 and later slow their rotary frequencies by: llama.cpp works them out when it converts. */
const ROPE_FACTORS = "rope_freqs.weight";
/** LongRoPE's, up to the original context and beyond it. */
const SHORT_FACTORS = "rope_factors_short.weight";
const LONG_FACTORS = "rope_factors_long.weight";
/** Tensors that the configuration is read from, and no layer has. */
export const CONFIGURATION: ReadonlySet<string> = new Set([ROPE_FACTORS, SHORT_FACTORS, LONG_FACTORS]);
const DEFAULT_THETA = 10_000;

/**
 * A model's shape by the metadata and the tensors of a GGUF file (ggml/docs/gguf.md).
 *
 * @throws WinnowError `file` when a key is missing or malformed, `model` when Winnow cannot run such a model.
 */
export async function ggufConfig(metadata: GgufMetadata, file: GgufFile): Promise<ModelConfig> {
  const { path } = metadata;
  const architecture = metadata.text("general.architecture");
  const family = FAMILIES.find(({ gguf }) => gguf.architecture === architecture);
  if (family === undefined) {
    const supported = [...new Set(FAMILIES.map(({ gguf }) => gguf.architecture))].join(", ");
    throw new WinnowError(
      "model",
      `${path}: architecture ${quote(architecture)} is not supported; supported: ${supported}`,
    );
  }
  const key = (name: string): string => `${architecture}.${name}`;
  const layers = metadata.whole(key("block_count"), 1, 10_000);
  const width = metadata.whole(key("embedding_length"), 1, 2 ** 24);
  const queryHeads = metadata.sameForLayers(key("attention.head_count"), layers, 1, 2 ** 16);
  const kvHeads = metadata.has(key("attention.head_count_kv"))
    ? metadata.sameForLayers(key("attention.head_count_kv"), layers, 1, 2 ** 16)
    : queryHeads;
  const headDim = metadata.has(key("attention.key_length"))
    ? metadata.whole(key("attention.key_length"), 1, 2 ** 16)
    : width / queryHeads;
  if (queryHeads % kvHeads !== 0 || headDim % 2 !== 0) {
    throw new WinnowError(
      "file",
      `${path}: ${queryHeads} query heads of size ${headDim} on ${kvHeads} KV heads; expected an even size, and a multiple of the KV heads`,
    );
  }
  expectPlain(metadata, key, headDim);
  const { tensors } = file;
  const optional = (name: string): number | null => (metadata.has(key(name)) ? metadata.positive(key(name)) : null);
  const scaling = await scalingOf(metadata, key, file, headDim);
  return {
    architecture: family.architecture,
    width,
    feedForward: metadata.sameForLayers(key("feed_forward_length"), layers, 1, 2 ** 24),
    layers,
    queryHeads,
    kvHeads,
    headDim,
    sights: layersOf(family, {
      layers,
      window: windowOf(metadata, key),
      fields: { isUsed: true, first: 0, pattern: null },
      // A Mistral is a Llama there: where a window is named, all layers see it.
      windowed: architecture === "llama" ? new Array<boolean>(layers).fill(true) : null,
      rotated: null,
    }),
    // Gemma 2's largest alone has a scale of its own: its heads are narrower than their share of the width.
    attentionScale: 1 / Math.sqrt(isLargestGemma2(architecture, layers) ? width / queryHeads : headDim),
    scoreCap: optional("attn_logit_softcapping") ?? family.caps?.scores ?? null,
    logitCap: optional("final_logit_softcapping") ?? family.caps?.logits ?? null,
    context: stretchedContext(metadata.whole(key("context_length"), 1, 2 ** 31), scaling),
    vocabulary: tensors.get("token_embd.weight")?.shape[0] ?? metadata.texts("tokenizer.ggml.tokens").length,
    normEpsilon: metadata.positive(key("attention.layer_norm_rms_epsilon")),
    ropeTheta: metadata.has(key("rope.freq_base")) ? metadata.positive(key("rope.freq_base")) : DEFAULT_THETA,
    ropeScaling: scaling,
    windowTheta: family.windowTheta,
    qkvBias: tensors.has("blk.0.attn_q.bias") || tensors.has("blk.0.attn_qkv.bias"),
    outputBias: tensors.has("blk.0.attn_output.bias"),
    feedForwardBias: tensors.has("blk.0.ffn_up.bias"),
    // Added when the file was made.
    normOffset: 0,
    tiedHead: !tensors.has("output.weight"),
    bosIds: idsOf(metadata, "tokenizer.ggml.bos_token_id"),
    eosIds: idsOf(metadata, "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"),
  };
}

/** Refuse what would run and give wrong numbers. */
function expectPlain(metadata: GgufMetadata, key: (name: string) => string, headDim: number): void {
  const refuse = (name: string, found: unknown, supported: string): never => {
    throw new WinnowError(
      "model",
      `${metadata.path}: ${key(name)} ${String(found)} is not supported; supported: ${supported}`,
    );
  };
  const count = (name: string): number => (metadata.has(key(name)) ? metadata.whole(key(name), 0, 2 ** 31) : 0);
  if (count("expert_count") > 0) refuse("expert_count", count("expert_count"), "0, as models without experts have");
  const rotated = "rope.dimension_count";
  if (metadata.has(key(rotated)) && count(rotated) !== headDim)
    refuse(rotated, count(rotated), `${headDim}, whole heads`);
  if (metadata.has(key("attention.value_length")) && count("attention.value_length") !== headDim) {
    refuse("attention.value_length", count("attention.value_length"), `${headDim}, as keys have`);
  }
}

/** How many positions the rows of layers see that see a window; null for all. */
function windowOf(metadata: GgufMetadata, key: (name: string) => string): number | null {
  const name = key("attention.sliding_window");
  const window = metadata.has(name) ? metadata.whole(name, 0, 2 ** 31) : 0;
  return window === 0 ? null : window;
}

/** llama.cpp tells it by its layers too (llama-model.cpp, `LLM_TYPE_27B`). */
function isLargestGemma2(architecture: string, layers: number): boolean {
  return architecture === "gemma2" && layers === 46;
}

async function scalingOf(
  metadata: GgufMetadata,
  key: (name: string) => string,
  file: GgufFile,
  headDim: number,
): Promise<RopeScaling> {
  const name = key("rope.scaling.type");
  const kind = metadata.has(name) ? metadata.text(name) : "none";
  if (kind === "linear") return { kind, factor: metadata.positive(key("rope.scaling.factor")) };
  const originalKey = key("rope.scaling.original_context_length");
  const originalContext = metadata.whole(metadata.has(originalKey) ? originalKey : key("context_length"), 1, 2 ** 31);
  if (kind === "yarn") {
    const factor = metadata.positive(key("rope.scaling.factor"));
    return { kind, factor, originalContext, betaFast: 32, betaSlow: 1, magnitude: yarnMagnitude(factor) };
  }
  if (kind === "longrope" || file.tensors.has(LONG_FACTORS)) {
    const magnitudeKey = key("rope.scaling.attn_factor");
    return {
      kind: "longrope",
      short: await factorsIn(file, SHORT_FACTORS, headDim / 2),
      long: await factorsIn(file, LONG_FACTORS, headDim / 2),
      originalContext,
      magnitude: metadata.has(magnitudeKey) ? metadata.positive(magnitudeKey) : 1,
    };
  }
  if (kind !== "none") {
    throw new WinnowError(
      "model",
      `${metadata.path}: ${name} ${quote(kind)} is not supported; supported: none, linear, yarn, longrope, and factors in ${ROPE_FACTORS}`,
    );
  }
  if (!file.tensors.has(ROPE_FACTORS)) return { kind: "none" };
  return { kind: "factors", factors: await factorsIn(file, ROPE_FACTORS, headDim / 2) };
}

/** @throws WinnowError `file` where there are no such factors, `numeric` where they cannot be divided by. */
async function factorsIn(file: GgufFile, name: string, count: number): Promise<number[]> {
  const tensor = file.tensors.get(name);
  if (tensor?.type.name !== "F32" || tensor.bytes !== count * 4) {
    const found = tensor === undefined ? "missing" : `${tensor.type.name} of shape [${tensor.shape.join(", ")}]`;
    throw new WinnowError(
      "file",
      `${file.fileOf(name)}: tensor "${name}" is ${found}; expected F32 of shape [${count}]`,
    );
  }
  const factors = new Float32Array(count);
  await file.readInto(new Uint8Array(factors.buffer), name);
  const bad = factors.findIndex((factor) => !(factor > 0 && Number.isFinite(factor)));
  if (bad >= 0) {
    throw new WinnowError(
      "numeric",
      `${file.fileOf(name)}: tensor "${name}" has ${factors[bad]} at element ${bad}; expected numbers above 0`,
    );
  }
  return Array.from(factors);
}

function idsOf(metadata: GgufMetadata, ...keys: readonly string[]): readonly number[] {
  return keys.filter((key) => metadata.has(key)).map((key) => metadata.whole(key, 0, 2 ** 24));
}
