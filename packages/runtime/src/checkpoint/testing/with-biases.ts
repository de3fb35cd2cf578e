import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { randomWord } from "@winnow/core-tensor";

import { writeSafetensors, type TensorToWrite } from "../../files/testing/write-safetensors";
import { openWeights } from "../../files/weights";

/** A copy of a model with random biases of q, k and v and another configuration. */
export async function withBiases(from: string, to: string, change: Readonly<Record<string, unknown>>): Promise<string> {
  await mkdir(to);
  for (const file of ["tokenizer.json", "tokenizer_config.json", "generation_config.json"]) {
    await copyFile(join(from, file), join(to, file));
  }
  const config = JSON.parse(await readFile(join(from, "config.json"), "utf8")) as object;
  await writeFile(join(to, "config.json"), JSON.stringify({ ...config, ...change }));
  await using weights = await openWeights(from);
  const tensors: TensorToWrite[] = [];
  for (const name of weights.tensors.keys()) {
    const { dtype, shape, data } = await weights.read(name);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    tensors.push({ name, dtype: dtype.toUpperCase(), shape, data: bytes });
    if (!/self_attn\.[qkv]_proj\.weight$/.test(name)) continue;
    const [outputs = 0] = shape;
    const biases = Float32Array.from({ length: outputs }, (_, i) => randomWord(tensors.length, i, 0) / 2 ** 32 - 0.5);
    tensors.push({
      name: name.replace("weight", "bias"),
      dtype: "F32",
      shape: [outputs],
      data: new Uint8Array(biases.buffer),
    });
  }
  await writeSafetensors(join(to, "model.safetensors"), tensors);
  return to;
}
