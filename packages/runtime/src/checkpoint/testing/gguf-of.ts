import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { elementCount, isQuantised, tensor, toFloat32 } from "@winnow/core-tensor";

import { readModelConfig, type ModelConfig } from "../../files/config";
import type { WeightTensor } from "../../files/tensor-source";
import {
  flag,
  float,
  gguf,
  ints,
  text,
  texts,
  u32,
  type GgufField,
  type GgufTensorToWrite,
} from "../../files/testing/write-gguf";
import { openWeights } from "../../files/weights";
import { familyNamed } from "../../models/families";
import { GgufNames } from "../gguf-names";
import { randomBlocks, type BlockType } from "./random-blocks";

export interface GgufOptions {
  /** How matrices are stored; as they are unless told otherwise. Vectors are F32, as llama.cpp has them. */
  readonly type?: "F32" | "F16";
  /** Matrices are random blocks of these types instead, by their names; null for those that stay. */
  readonly blocks?: (name: string) => BlockType | null;
  /** Fields to change or add, or to leave out. */
  readonly change?: Readonly<Record<string, GgufField | null>>;
  /** Into how many files. */
  readonly parts?: number;
}

interface TokenizerJson {
  readonly model: { readonly vocab: Record<string, number>; readonly merges: readonly (string | readonly string[])[] };
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[];
}

/** A model's directory as llama.cpp's convert_hf_to_gguf.py writes it, in one file or several. */
export async function ggufOf(
  dir: string,
  { type, blocks, change = {}, parts = 1 }: GgufOptions = {},
): Promise<Uint8Array[]> {
  const config = await readModelConfig(dir);
  const fields = { ...configFields(config), ...(await tokenizerFields(dir, config)), ...change };
  const kept = Object.fromEntries(
    Object.entries(fields).flatMap(([key, field]) => (field === null ? [] : [[key, field]])),
  );
  const tensors = await tensorsOf(dir, config, type, blocks);
  return Array.from({ length: parts }, (_, part) => {
    const own = tensors.filter((_, i) => i % parts === part);
    const split = parts === 1 ? {} : { "split.no": u32(part), "split.count": u32(parts) };
    return gguf({ ...(part === 0 ? kept : {}), ...split }, own);
  });
}

function configFields(config: ModelConfig): Record<string, GgufField> {
  const { ropeScaling, scoreCap, logitCap } = config;
  const name = familyNamed(config.architecture).gguf.architecture;
  const window = config.sights.find((sight) => sight.window !== null)?.window ?? null;
  const fields = {
    block_count: u32(config.layers),
    embedding_length: u32(config.width),
    feed_forward_length: u32(config.feedForward),
    context_length: u32(config.context),
    "attention.head_count": u32(config.queryHeads),
    "attention.head_count_kv": u32(config.kvHeads),
    "attention.key_length": u32(config.headDim),
    "attention.value_length": u32(config.headDim),
    "attention.layer_norm_rms_epsilon": float(config.normEpsilon),
    "rope.freq_base": float(config.ropeTheta),
    "rope.dimension_count": u32(config.headDim),
    ...(ropeScaling.kind === "linear" || ropeScaling.kind === "yarn"
      ? { "rope.scaling.type": text(ropeScaling.kind), "rope.scaling.factor": float(ropeScaling.factor) }
      : {}),
    ...(ropeScaling.kind === "longrope" ? { "rope.scaling.attn_factor": float(ropeScaling.magnitude) } : {}),
    ...(ropeScaling.kind === "longrope" || ropeScaling.kind === "yarn"
      ? { "rope.scaling.original_context_length": u32(ropeScaling.originalContext) }
      : {}),
    ...(scoreCap === null ? {} : { attn_logit_softcapping: float(scoreCap) }),
    ...(logitCap === null ? {} : { final_logit_softcapping: float(logitCap) }),
    ...(window === null ? {} : { "attention.sliding_window": u32(window) }),
  };
  const own = Object.entries(fields).map(([key, field]) => [`${name}.${key}`, field] as const);
  return { "general.architecture": text(name), ...Object.fromEntries(own) };
}

async function tokenizerFields(dir: string, config: ModelConfig): Promise<Record<string, GgufField>> {
  const json = JSON.parse(await readFile(join(dir, "tokenizer.json"), "utf8")) as TokenizerJson;
  const { chat_template } = JSON.parse(await readFile(join(dir, "tokenizer_config.json"), "utf8")) as Record<
    string,
    string
  >;
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(json.model.vocab)) tokens[id] = token;
  for (const { id, content } of json.added_tokens) tokens[id] = content;
  const added = new Set(json.added_tokens.map(({ id }) => id));
  const known = tokens.length;
  for (let id = known; id < config.vocabulary; id++) tokens.push(`[PAD${id}]`);
  return {
    "tokenizer.ggml.model": text("gpt2"),
    "tokenizer.ggml.pre": text("smollm"),
    "tokenizer.ggml.tokens": texts(tokens),
    "tokenizer.ggml.token_type": ints(tokens.map((_, id) => (added.has(id) ? 3 : id < known ? 1 : 5))),
    "tokenizer.ggml.merges": texts(
      json.model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" "))),
    ),
    "tokenizer.ggml.bos_token_id": u32(config.bosIds[0] ?? 0),
    "tokenizer.ggml.eos_token_id": u32(config.eosIds[0] ?? 0),
    "tokenizer.ggml.add_bos_token": flag(false),
    ...(chat_template === undefined ? {} : { "tokenizer.chat_template": text(chat_template) }),
  };
}

async function tensorsOf(
  dir: string,
  config: ModelConfig,
  type: GgufOptions["type"],
  blocks: GgufOptions["blocks"],
): Promise<GgufTensorToWrite[]> {
  await using weights = await openWeights(dir);
  const tensors: GgufTensorToWrite[] = [];
  const { ropeScaling, headDim } = config;
  if (ropeScaling.kind === "llama3") {
    const factors = Float32Array.from({ length: headDim / 2 }, (_, i) => {
      const wavelength = 2 * Math.PI * config.ropeTheta ** ((2 * i) / headDim);
      const { factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = ropeScaling;
      if (wavelength < originalContext / highFrequencyFactor) return 1;
      if (wavelength > originalContext / lowFrequencyFactor) return factor;
      const smooth = (originalContext / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
      return 1 / ((1 - smooth) / factor + smooth);
    });
    tensors.push({
      name: "rope_freqs.weight",
      type: "F32",
      shape: [headDim / 2],
      data: new Uint8Array(factors.buffer),
    });
  }
  if (ropeScaling.kind === "longrope") {
    for (const part of ["short", "long"] as const) {
      const data = new Uint8Array(Float32Array.from(ropeScaling[part]).buffer);
      tensors.push({ name: `rope_factors_${part}.weight`, type: "F32", shape: [headDim / 2], data });
    }
  }
  const names = new GgufNames(config.architecture);
  const { turnsNeighbours } = familyNamed(config.architecture).gguf;
  for (const name of weights.tensors.keys()) {
    const own = names.toGguf(name);
    if (own === null) throw new Error(`${name} has no name in a GGUF file`);
    const read = await weights.read(name);
    const isNorm = name.endsWith("norm.weight");
    const found: WeightTensor =
      isNorm && config.normOffset !== 0
        ? tensor(
            "f32",
            read.shape,
            toFloat32(read).map((value) => value + config.normOffset),
          )
        : read;
    const block = found.shape.length === 2 ? (blocks?.(name) ?? null) : null;
    if (block !== null) {
      const data = randomBlocks(block, elementCount(found.shape), tensors.length);
      tensors.push({ name: own, type: block, shape: found.shape, data });
      continue;
    }
    const heads = !turnsNeighbours
      ? 0
      : name.includes("q_proj")
        ? config.queryHeads
        : name.includes("k_proj")
          ? config.kvHeads
          : 0;
    const stored = encoded(found, found.shape.length === 1 ? "F32" : type);
    tensors.push({
      name: own,
      shape: found.shape,
      ...stored,
      data: heads === 0 ? stored.data : permuted(stored.data, heads, found.shape[0] ?? 1),
    });
  }
  return tensors;
}

function encoded(tensor: WeightTensor, type: GgufOptions["type"]): Pick<GgufTensorToWrite, "type" | "data"> {
  if (isQuantised(tensor.dtype)) throw new Error(`no test has ${tensor.dtype} in a directory`);
  const own = ({ f32: "F32", f16: "F16", bf16: "BF16" } as const)[tensor.dtype];
  const { buffer, byteOffset, byteLength } = type === "F32" ? toFloat32(tensor) : tensor.data;
  return { type: type ?? own, data: new Uint8Array(buffer, byteOffset, byteLength) };
}

/** `w.reshape(heads, 2, rows // heads // 2, …).swapaxes(1, 2)` */
function permuted(data: Uint8Array, heads: number, rows: number): Uint8Array {
  const result = new Uint8Array(data.length);
  const rowBytes = data.length / rows;
  const half = rows / heads / 2;
  let to = 0;
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < half; i++) {
      for (let j = 0; j < 2; j++) {
        const from = ((head * 2 + j) * half + i) * rowBytes;
        result.set(data.subarray(from, from + rowBytes), to);
        to += rowBytes;
      }
    }
  }
  return result;
}
