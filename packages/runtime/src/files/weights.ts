import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import { filesAt } from "./files-at";
import { readOptionalJsonFile } from "./json-file";
import type { ModelFiles } from "./model-files";
import { quote } from "./quote";
import { readSafetensors, type SafetensorsFile } from "./safetensors";
import type { TensorInfo, TensorSource, WeightTensor } from "./tensor-source";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";

const indexSchema = z.object({
  weight_map: z.record(z.string(), z.string("expected a file name"), "expected an object that maps tensors to files"),
});

/**
 * Open a model's weights: `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
 *
 * @param place the model's files in Hugging Face layout, or their directory (in a browser, their URL).
 * @throws WinnowError `file` when there are no weights, a file is damaged, or the index and its files disagree.
 */
export async function openWeights(place: string | ModelFiles): Promise<TensorSource> {
  const files = filesAt(place);
  await files.expectPlace();
  const single = await files.open(SINGLE);
  if (single !== null) return readSafetensors(single);
  const index = await readOptionalJsonFile(files, INDEX, indexSchema);
  if (index === null) throw new WinnowError("file", `${files.path}: no weights; expected ${SINGLE} or ${INDEX}`);
  return openShards(files, new Map(Object.entries(index.weight_map)));
}

async function openShards(files: ModelFiles, weightMap: ReadonlyMap<string, string>): Promise<ShardedWeights> {
  const indexPath = files.pathOf(INDEX);
  if (weightMap.size === 0)
    throw new WinnowError("file", `${indexPath}: weight_map is empty; expected at least one tensor`);
  const shards = new Map<string, SafetensorsFile>();
  try {
    for (const [name, file] of weightMap) {
      if (shards.has(file)) continue;
      expectInside(file, `${indexPath}: tensor ${quote(name)}`);
      const shard = await files.open(file);
      if (shard === null) throw new WinnowError("file", `${files.pathOf(file)}: no such file or directory`);
      shards.set(file, await readSafetensors(shard));
    }
    expectAgreement(weightMap, shards, indexPath);
    return new ShardedWeights(indexPath, weightMap, shards);
  } catch (cause) {
    await closeAll(shards.values());
    throw cause;
  }
}

/** An index that someone else wrote must not make us read files elsewhere. */
function expectInside(file: string, what: string): void {
  const inside = file !== "" && !/^[/\\]|^[A-Za-z]:|[\\\0]/.test(file) && !file.split("/").includes("..");
  if (!inside) {
    throw new WinnowError(
      "file",
      `${what} is mapped to ${quote(file)}; expected the name of a file inside the model's directory`,
    );
  }
}

function expectAgreement(
  weightMap: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, SafetensorsFile>,
  indexPath: string,
): void {
  for (const [name, file] of weightMap) {
    if (shards.get(file)?.has(name) !== true) {
      throw new WinnowError(
        "file",
        `${indexPath}: tensor ${quote(name)} is mapped to ${quote(file)}, which has no such tensor`,
      );
    }
  }
  for (const [file, shard] of shards) {
    for (const name of shard.tensors.keys()) {
      const listed = weightMap.get(name);
      if (listed === undefined) {
        throw new WinnowError(
          "file",
          `${shard.path}: tensor ${quote(name)} is missing from ${indexPath}; expected every tensor to be listed`,
        );
      }
      if (listed !== file) {
        throw new WinnowError(
          "file",
          `${shard.path}: tensor ${quote(name)} is also in ${quote(listed)}; expected it in one file only`,
        );
      }
    }
  }
}

/** The tensors of several safetensors files under one index. */
class ShardedWeights implements TensorSource {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #shards: ReadonlyMap<string, SafetensorsFile>;
  readonly #weightMap: ReadonlyMap<string, string>;

  constructor(
    readonly path: string,
    weightMap: ReadonlyMap<string, string>,
    shards: ReadonlyMap<string, SafetensorsFile>,
  ) {
    this.#weightMap = weightMap;
    this.#shards = shards;
    this.tensors = new Map([...shards.values()].flatMap((shard) => [...shard.tensors]));
  }

  whereIs(name: string): string {
    return `${this.#shardOf(name)?.path ?? this.path}: tensor ${quote(name)}`;
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  async read(name: string): Promise<WeightTensor> {
    return this.#holderOf(name).read(name);
  }

  async readInto(target: Uint8Array, name: string): Promise<void> {
    return this.#holderOf(name).readInto(target, name);
  }

  close(): Promise<void> {
    return closeAll(this.#shards.values());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #holderOf(name: string): SafetensorsFile {
    const shard = this.#shardOf(name);
    if (shard === undefined) {
      throw new WinnowError("file", `${this.path}: no tensor ${quote(name)} among the ${this.tensors.size} listed`);
    }
    return shard;
  }

  #shardOf(name: string): SafetensorsFile | undefined {
    const file = this.#weightMap.get(name);
    return file === undefined ? undefined : this.#shards.get(file);
  }
}

async function closeAll(files: Iterable<SafetensorsFile>): Promise<void> {
  await Promise.all([...files].map((file) => file.close()));
}
