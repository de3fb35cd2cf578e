import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { elementCount, randomWord } from "@winnow/core-tensor";

import { parseModelConfig } from "../files/config";
import { writeSafetensors, type TensorToWrite } from "../files/testing/write-safetensors";
import { expectedTensors } from "../models/load-decoder";
import { DEMO } from "./models";

/** A small decoder; the demo model's tokenizer goes with it. */
const SHAPE = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  max_position_embeddings: 256,
  vocab_size: 1296,
  rms_norm_eps: 1e-5,
  bos_token_id: 0,
  eos_token_id: 6,
};

/**
 * Write a model of a family with random weights in F32.
 *
 * @param fields of `config.json` that differ from those of a small decoder.
 */
export async function randomModel(dir: string, fields: Readonly<Record<string, unknown>>): Promise<string> {
  await mkdir(dir);
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) await copyFile(join(DEMO, file), join(dir, file));
  const json = { ...SHAPE, ...fields };
  const config = parseModelConfig(json, "config.json");
  await writeFile(join(dir, "config.json"), JSON.stringify(json));
  const tensors = [...expectedTensors(config)].map(([name, shape], number): TensorToWrite => {
    const isNorm = name.endsWith("norm.weight");
    // Norms are about 1, as they are stored; the rest is small enough that no branch drowns the others.
    const [middle, spread] = isNorm ? [1 - config.normOffset, 0.6] : [0, name.includes("embed") ? 2 : 0.5];
    const data = Float32Array.from(
      { length: elementCount(shape) },
      (_, i) => middle + spread * (randomWord(number + 1, i, 0) / 2 ** 32 - 0.5),
    );
    return { name, dtype: "F32", shape, data: new Uint8Array(data.buffer) };
  });
  await writeSafetensors(join(dir, "model.safetensors"), tensors);
  return dir;
}
