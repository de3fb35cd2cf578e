import { WinnowError } from "@winnow/core-tensor";

import type { ModelConfig } from "../files/config";
import type { GgufFile } from "../files/gguf-file";
import { quote } from "../files/quote";
import type { RopeScaling } from "../models/rope";
import type { GgufMetadata } from "./gguf-metadata";

/** Of GGUF's architectures. Those that llama.cpp has no name for, such as Mistral's, are `llama` to it. */
const ARCHITECTURES: Readonly<Record<string, ModelConfig["architecture"]>> = {
  llama: "LlamaForCausalLM",
  qwen2: "Qwen2ForCausalLM",
};
/** Factors that Llama 3.1 and later slow their rotary frequencies by: llama.cpp works them out when it converts. */
const ROPE_FACTORS = "rope_freqs.weight";
const DEFAULT_THETA = 10_000;

/**
 * A model's shape by the metadata and the tensors of a GGUF file (ggml/docs/gguf.md).
 *
 * @throws WinnowError `file` when a key is missing or malformed, `model` when Winnow cannot run such a model.
 */
export async function ggufConfig(metadata: GgufMetadata, file: GgufFile): Promise<ModelConfig> {
  const { path } = metadata;
  const architecture = metadata.text("general.architecture");
  const known = Object.hasOwn(ARCHITECTURES, architecture) ? ARCHITECTURES[architecture] : undefined;
  if (known === undefined) {
    const supported = Object.keys(ARCHITECTURES).join(", ");
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
  return {
    architecture: known,
    width,
    feedForward: metadata.sameForLayers(key("feed_forward_length"), layers, 1, 2 ** 24),
    layers,
    queryHeads,
    kvHeads,
    headDim,
    context: Math.min(metadata.whole(key("context_length"), 1, 2 ** 31), windowOf(metadata, key)),
    vocabulary: tensors.get("token_embd.weight")?.shape[0] ?? metadata.texts("tokenizer.ggml.tokens").length,
    normEpsilon: metadata.positive(key("attention.layer_norm_rms_epsilon")),
    ropeTheta: metadata.has(key("rope.freq_base")) ? metadata.positive(key("rope.freq_base")) : DEFAULT_THETA,
    ropeScaling: await scalingOf(metadata, key, file, headDim),
    qkvBias: tensors.has("blk.0.attn_q.bias"),
    outputBias: tensors.has("blk.0.attn_output.bias"),
    feedForwardBias: tensors.has("blk.0.ffn_up.bias"),
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

/** How many positions a row sees. */
function windowOf(metadata: GgufMetadata, key: (name: string) => string): number {
  const name = key("attention.sliding_window");
  const window = metadata.has(name) ? metadata.whole(name, 0, 2 ** 31) : 0;
  return window === 0 ? Infinity : window;
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
  if (kind !== "none") {
    throw new WinnowError(
      "model",
      `${metadata.path}: ${name} ${quote(kind)} is not supported; supported: none, linear, and factors in ${ROPE_FACTORS}`,
    );
  }
  const tensor = file.tensors.get(ROPE_FACTORS);
  if (tensor === undefined) return { kind: "none" };
  if (tensor.type.name !== "F32" || tensor.bytes !== (headDim / 2) * 4) {
    throw new WinnowError(
      "file",
      `${file.fileOf(ROPE_FACTORS)}: tensor "${ROPE_FACTORS}" is ${tensor.type.name} of shape [${tensor.shape.join(", ")}]; ` +
        `expected F32 of shape [${headDim / 2}]`,
    );
  }
  const factors = new Float32Array(headDim / 2);
  await file.readInto(new Uint8Array(factors.buffer), ROPE_FACTORS);
  const bad = factors.findIndex((factor) => !(factor > 0 && Number.isFinite(factor)));
  if (bad >= 0) {
    throw new WinnowError(
      "numeric",
      `${file.fileOf(ROPE_FACTORS)}: tensor "${ROPE_FACTORS}" has ${factors[bad]} at element ${bad}; expected numbers above 0`,
    );
  }
  return { kind: "factors", factors: Array.from(factors) };
}

function idsOf(metadata: GgufMetadata, ...keys: readonly string[]): readonly number[] {
  return keys.filter((key) => metadata.has(key)).map((key) => metadata.whole(key, 0, 2 ** 24));
}
