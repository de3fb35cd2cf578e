import { WinnowError, elementCount, numberToF16, tensor } from "@winnow/core-tensor";

import type { ModelConfig } from "../files/config";
import type { GgufFile } from "../files/gguf-file";
import type { GgufTensor } from "../files/gguf-header";
import { quote } from "../files/quote";
import { DECODERS } from "./quantised-blocks";
import type { TensorInfo, TensorSource, WeightDType, WeightTensor } from "../files/tensor-source";

const DTYPES: ReadonlyMap<string, WeightDType> = new Map([
  ["F32", "f32"],
  ["F16", "f16"],
  ["BF16", "bf16"],
]);

/** Names outside of the layers, in a GGUF file and in Hugging Face layout. */
const OUTER: Readonly<Record<string, string>> = {
  token_embd: "model.embed_tokens",
  output_norm: "model.norm",
  output: "lm_head",
};
/** Names within a layer. */
const INNER: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};
/** What the configuration is read from, and no layer has. */
const CONFIGURATION: ReadonlySet<string> = new Set(["rope_freqs.weight"]);

/**
 * A GGUF file's tensors, quantised ones widened to halves, as they are in Hugging Face layout. Files of the architecture `llama` have the rows of q and k
 * in another order, for a rotation that turns neighbours: that is undone as they are read.
 */
export class GgufWeights implements TensorSource {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #names: ReadonlyMap<string, string>;

  /** @throws WinnowError `model` for a tensor of a type that is not supported. */
  constructor(
    private readonly file: GgufFile,
    private readonly config: Pick<ModelConfig, "headDim" | "architecture">,
  ) {
    this.path = file.path;
    const names = new Map<string, string>();
    const tensors = new Map<string, TensorInfo>();
    for (const [own, entry] of file.tensors) {
      if (CONFIGURATION.has(own)) continue;
      const name = nameOf(own);
      names.set(name, own);
      tensors.set(name, infoOf(entry, `${file.fileOf(own)}: tensor ${quote(own)}`));
    }
    this.tensors = tensors;
    this.#names = names;
  }

  whereIs(name: string): string {
    const own = this.#names.get(name) ?? name;
    return `${this.file.fileOf(own)}: tensor ${quote(own)}`;
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  async read(name: string): Promise<WeightTensor> {
    const info = this.tensors.get(name);
    const own = this.#names.get(name);
    if (info === undefined || own === undefined) {
      throw new WinnowError(
        "file",
        `${this.path}: no tensor ${quote(name)} among the ${this.tensors.size} in the file`,
      );
    }
    const result = allocate(info, this.whereIs(name));
    const { buffer, byteOffset, byteLength } = result.data;
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    const quantised = this.file.tensors.get(own);
    if (info.stored === undefined || quantised === undefined) await this.file.readInto(bytes, own);
    else if (result.dtype === "f16") await this.#widen(quantised, own, result.data);
    const isPaired = this.config.architecture === "LlamaForCausalLM" && /\.attn_[qk]\./.test(own);
    if (isPaired) splitPairs(bytes, this.config.headDim, bytes.length / (info.shape[0] ?? 1));
    return result;
  }

  async #widen({ type, bytes }: GgufTensor, own: string, halves: Uint16Array): Promise<void> {
    const decode = DECODERS[type.name];
    const stored = new Uint8Array(bytes);
    await this.file.readInto(stored, own);
    const block = new Float32Array(type.blockElements);
    for (let at = 0, to = 0; at < bytes; at += type.blockBytes) {
      decode?.(stored, at, block);
      for (const value of block) halves[to++] = numberToF16(value);
    }
  }

  /** The file is the checkpoint's to close. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A tensor's name in Hugging Face layout; its own where there is none. */
function nameOf(own: string): string {
  const {
    layer,
    part = "",
    kind = "",
  } = /^(?:blk\.(?<layer>\d+)\.)?(?<part>\w+)\.(?<kind>weight|bias)$/.exec(own)?.groups ?? {};
  const known = layer === undefined ? OUTER[part] : INNER[part];
  if (known === undefined) return own;
  return layer === undefined ? `${known}.${kind}` : `model.layers.${layer}.${known}.${kind}`;
}

function infoOf({ type, shape, bytes }: GgufTensor, what: string): TensorInfo {
  const dtype = DTYPES.get(type.name);
  if (dtype !== undefined) return { dtype, shape, bytes };
  if (!Object.hasOwn(DECODERS, type.name)) {
    const supported = [...DTYPES.keys(), ...Object.keys(DECODERS)].join(", ");
    throw new WinnowError(
      "model",
      `${what} is stored as ${type.name}, which is not supported; supported: ${supported}`,
    );
  }
  return { dtype: "f16", shape, bytes: elementCount(shape) * 2, stored: { type: type.name, bytes } };
}

/**
 * Give the rows of each head the order that rotates halves: of the rows 0, 1, 2, 3 … the even ones come first, then the odd
 * ones (the inverse of `permute` in llama.cpp's convert_hf_to_gguf.py).
 */
function splitPairs(bytes: Uint8Array, headDim: number, rowBytes: number): void {
  const headBytes = headDim * rowBytes;
  const half = headDim / 2;
  for (let head = 0; head < bytes.length; head += headBytes) {
    const rows = bytes.slice(head, head + headBytes);
    for (let row = 0; row < headDim; row++) {
      const from = (row < half ? 2 * row : 2 * (row - half) + 1) * rowBytes;
      bytes.set(rows.subarray(from, from + rowBytes), head + row * rowBytes);
    }
  }
}

function allocate({ dtype, shape, bytes }: TensorInfo, what: string): WeightTensor {
  try {
    return dtype === "f32"
      ? tensor(dtype, shape, new Float32Array(bytes / 4))
      : tensor(dtype, shape, new Uint16Array(bytes / 2));
  } catch (cause) {
    throw new WinnowError("memory", `${what}: no memory for ${bytes} bytes`, { cause });
  }
}
