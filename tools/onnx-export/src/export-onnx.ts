import { mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import { openCheckpoint, type ModelConfig } from "@winnow/runtime";

import { decoderGraph, type Activations } from "./decoder-graph";
import type { Encoded } from "./protobuf";

/** What protobuf's readers take. */
const MOST_BYTES = 2 ** 31 - 1;

/** What Transformers.js calls the precision of an exported file: `q8` where the weights are q8_0, else `fp32`. */
export type ExportedType = "fp32" | "q8";

const FILE_NAMES: Readonly<Record<ExportedType, string>> = { fp32: "model.onnx", q8: "model_quantized.onnx" };

export interface ExportOptions {
  /** Default: `i8`. Plain weights are always multiplied by f32. */
  readonly activations?: Activations | undefined;
}

/**
 * Write a model as Transformers.js loads it with `AutoModelForCausalLM`: `config.json` and a file in `onnx/`. Weights in q8_0
 * remain to the bit what they are, others are widened to f32.
 *
 * @param from a model that Winnow loads: its directory or its GGUF file.
 * @param folder is made where there is none.
 * @throws WinnowError `file`, `model` for one that is no plain Llama, `dtype`, `memory` for more than a file may have.
 */
export async function exportOnnx(
  from: string,
  folder: string,
  { activations = "i8" }: ExportOptions = {},
): Promise<ExportedType> {
  await using checkpoint = await openCheckpoint(from);
  const config = await checkpoint.config();
  await using source = await checkpoint.weights();
  const type = source.tensors.get("model.embed_tokens.weight")?.dtype === "q8_0" ? "q8" : "fp32";
  const encoded = (await decoderGraph(config, source, activations)).encode(from);
  if (encoded.bytes > MOST_BYTES) {
    throw new WinnowError(
      "memory",
      `${from} takes ${encoded.bytes} bytes as an ONNX file, which may have ${MOST_BYTES}; convert it to q8_0`,
    );
  }
  await mkdir(join(folder, "onnx"), { recursive: true });
  await writePieces(join(folder, "onnx", FILE_NAMES[type]), encoded);
  await writeFile(join(folder, "config.json"), `${JSON.stringify(transformersConfig(config), null, 1)}\n`);
  return type;
}

/** Without ids that end a text: an answer then has as many tokens as are asked for. */
function transformersConfig(config: ModelConfig): object {
  return {
    architectures: [config.architecture],
    model_type: "llama",
    hidden_size: config.width,
    intermediate_size: config.feedForward,
    num_hidden_layers: config.layers,
    num_attention_heads: config.queryHeads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    max_position_embeddings: config.context,
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.ropeTheta,
    vocab_size: config.vocabulary,
    tie_word_embeddings: config.tiedHead,
  };
}

async function writePieces(path: string, { pieces }: Encoded): Promise<void> {
  const file = await open(path, "w");
  try {
    for (const piece of pieces) await file.writeFile(piece);
  } finally {
    await file.close();
  }
}
