import { stat } from "node:fs/promises";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import { expectDirectory } from "./directory";
import { readOptionalJsonFile } from "./json-file";
import { quote } from "./quote";
import { openSafetensors, type SafetensorsFile } from "./safetensors";
import { isMissing, systemError } from "./system-error";
import type { TensorInfo, TensorSource, WeightTensor } from "./tensor-source";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";

const indexSchema = z.object({
  weight_map: z.record(z.string(), z.string("expected a file name"), "expected an object that maps tensors to files"),
});

/**
 * Open a model's weights: `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
 *
 * @param dir the model's directory in Hugging Face layout.
 * @throws WinnowError `file` when there are no weights, a file is damaged, or the index and its files disagree.
 */
export async function openWeights(dir: string): Promise<TensorSource> {
  await expectDirectory(dir);
  if (await exists(join(dir, SINGLE))) return openSafetensors(join(dir, SINGLE));
  const indexPath = join(dir, INDEX);
  const index = await readOptionalJsonFile(indexPath, indexSchema);
  if (index === null) throw new WinnowError("file", `${dir}: no weights; expected ${SINGLE} or ${INDEX}`);
  return openShards(dir, indexPath, new Map(Object.entries(index.weight_map)));
}

async function openShards(
  dir: string,
  indexPath: string,
  weightMap: ReadonlyMap<string, string>,
): Promise<ShardedWeights> {
  if (weightMap.size === 0)
    throw new WinnowError("file", `${indexPath}: weight_map is empty; expected at least one tensor`);
  const shards = new Map<string, SafetensorsFile>();
  try {
    for (const [name, file] of weightMap) {
      if (shards.has(file)) continue;
      expectInside(file, `${indexPath}: tensor ${quote(name)}`);
      shards.set(file, await openSafetensors(join(dir, file)));
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

  fileOf(name: string): string {
    return this.#shardOf(name)?.path ?? this.path;
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  async read(name: string): Promise<WeightTensor> {
    const shard = this.#shardOf(name);
    if (shard === undefined) {
      throw new WinnowError("file", `${this.path}: no tensor ${quote(name)} among the ${this.tensors.size} listed`);
    }
    return shard.read(name);
  }

  close(): Promise<void> {
    return closeAll(this.#shards.values());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #shardOf(name: string): SafetensorsFile | undefined {
    const file = this.#weightMap.get(name);
    return file === undefined ? undefined : this.#shards.get(file);
  }
}

async function closeAll(files: Iterable<SafetensorsFile>): Promise<void> {
  await Promise.all([...files].map((file) => file.close()));
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (cause) {
    if (isMissing(cause)) return false;
    throw systemError(path, cause);
  }
}
