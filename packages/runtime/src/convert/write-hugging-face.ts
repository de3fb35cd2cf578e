import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { elementCount } from "@winnow/core-tensor";

import { throwIfAborted } from "../abort";
import type { FloatDType } from "../files/tensor-source";
import { familyNamed } from "../models/families";
import type { ConvertOptions } from "./convert-options";
import type { ConvertSource } from "./convert-source";
import { elementBytes, storedBytes } from "./element-bytes";
import { huggingFaceConfig } from "./hugging-face-config";
import { rowsOf } from "./weight-rows";
import { makeFolder, writeParts } from "./whole-output";

/** A shard has no more bytes than this unless a tensor has. */
const SHARD_BYTES = 5_000_000_000;
const TORCH_NAMES = { f32: "float32", f16: "float16", bf16: "bfloat16" } as const;

/** Write a model as a directory in Hugging Face layout, its weights in one type, in shards where they are large. */
export async function writeHuggingFace(
  source: ConvertSource,
  dir: string,
  dtype: FloatDType,
  options: ConvertOptions,
): Promise<void> {
  const { config, tokenizer, template } = source;
  await makeFolder(dir);
  const json = (name: string, value: unknown): Promise<void> =>
    writeFile(join(dir, name), `${JSON.stringify(value, null, 2)}\n`);
  await json("config.json", huggingFaceConfig(config, TORCH_NAMES[dtype]));
  await json("tokenizer.json", tokenizer.json);
  await json("tokenizer_config.json", {
    tokenizer_class: "PreTrainedTokenizerFast",
    ...tokenizer.roles,
    model_max_length: config.context,
    clean_up_tokenization_spaces: false,
    ...(template === null ? {} : { chat_template: template }),
  });
  await json("generation_config.json", { eos_token_id: config.eosIds });
  const shards = shardsOf(source, dtype);
  const nameOf = (i: number): string =>
    shards.length === 1 ? "model.safetensors" : `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
  const progress = { done: 0, total: source.names.length };
  for (const [i, names] of shards.entries()) {
    await writeParts(join(dir, nameOf(i)), partsOf(source, names, dtype, progress, options));
  }
  if (shards.length > 1) {
    const places = shards.flatMap((names, i) => names.map((name) => [name, nameOf(i)] as const));
    await json("model.safetensors.index.json", { metadata: {}, weight_map: Object.fromEntries(places) });
  }
  options.onProgress?.(progress.total, progress.total);
}

function digits(number: number): string {
  return String(number).padStart(5, "0");
}

function bytesOf({ weights }: ConvertSource, name: string, dtype: FloatDType): number {
  return storedBytes(dtype, elementCount(weights.tensors.get(name)?.shape ?? []));
}

function shardsOf(source: ConvertSource, dtype: FloatDType): string[][] {
  const shards: string[][] = [[]];
  let bytes = 0;
  for (const name of source.names) {
    const more = bytesOf(source, name, dtype);
    if (bytes > 0 && bytes + more > SHARD_BYTES) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)?.push(name);
    bytes += more;
  }
  return shards;
}

/** A safetensors file: the length of its header, the header, and the tensors one behind the other. */
async function* partsOf(
  source: ConvertSource,
  names: readonly string[],
  dtype: FloatDType,
  progress: { done: number; readonly total: number },
  { onProgress, signal }: ConvertOptions,
): AsyncGenerator<Uint8Array> {
  const { weights, config } = source;
  const header: Record<string, object> = { __metadata__: { format: "pt" } };
  let end = 0;
  for (const name of names) {
    const start = end;
    end += bytesOf(source, name, dtype);
    header[name] = { dtype: dtype.toUpperCase(), shape: weights.tensors.get(name)?.shape, data_offsets: [start, end] };
  }
  const text = JSON.stringify(header);
  const bytes = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  yield new Uint8Array(BigUint64Array.of(BigInt(bytes.length)).buffer);
  yield bytes;
  // What files of this layout lack of a norm's weight.
  const offset = config.normOffset - familyNamed(config.architecture).normOffset;
  for (const name of names) {
    onProgress?.(progress.done++, progress.total);
    const added = name.endsWith("norm.weight") ? offset : 0;
    for (const rows of rowsOf(await weights.read(name))) {
      throwIfAborted(signal, "converting the model");
      yield elementBytes(dtype, added === 0 ? rows : rows.map((value) => value + added));
    }
  }
}
