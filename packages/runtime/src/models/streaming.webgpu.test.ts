import { copyFile, mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { elementCount } from "@winnow/core-tensor";
import { expect, test } from "vitest";

import { parseModelConfig } from "../files/config";
import { temporaryDirectory } from "../files/testing/temporary-directory";
import { loadModel } from "../model";
import { openBackend } from "../open-backend";
import { DEMO } from "../testing/models";
import { expectedTensors } from "./load-decoder";

const MB = 2 ** 20;
const at = temporaryDirectory();

/**
 * A model whose weights are holes, and so zeros: a shard for each layer, and one for the rest.
 *
 * @returns bytes of the largest shard, and of all.
 */
async function writeHollowModel(dir: string): Promise<{ readonly largest: number; readonly all: number }> {
  await mkdir(dir);
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) await copyFile(join(DEMO, file), join(dir, file));
  const config = {
    ...(JSON.parse(await readFile(join(DEMO, "config.json"), "utf8")) as object),
    hidden_size: 1024,
    intermediate_size: 8192,
    num_hidden_layers: 8,
    max_position_embeddings: 64,
  };
  await writeFile(join(dir, "config.json"), JSON.stringify(config));
  const shards = new Map<string, { header: Record<string, object>; bytes: number }>();
  const places: Record<string, string> = {};
  for (const [name, shape] of expectedTensors(parseModelConfig(config, "config.json"))) {
    const file = `${/layers\.\d+/.exec(name)?.[0] ?? "rest"}.safetensors`;
    const shard = shards.get(file) ?? { header: {}, bytes: 0 };
    shards.set(file, shard);
    const end = shard.bytes + 2 * elementCount(shape);
    shard.header[name] = { dtype: "F16", shape, data_offsets: [shard.bytes, end] };
    shard.bytes = end;
    places[name] = file;
  }
  for (const [file, { header, bytes }] of shards) {
    const text = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    const handle = await open(join(dir, file), "w");
    await handle.writev([length, text]);
    await handle.truncate(8 + text.length + bytes);
    await handle.close();
  }
  await writeFile(join(dir, "model.safetensors.index.json"), JSON.stringify({ weight_map: places }));
  const sizes = [...shards.values()].map(({ bytes }) => bytes);
  return { largest: Math.max(...sizes), all: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Memory of the process that is its own: what a software driver lends to the device is shared. Null where nobody tells. */
async function anonymousBytes(): Promise<number | null> {
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  const found = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1];
  return found === undefined ? null : Number(found) * 1024;
}

const canMeasure = process.env.WINNOW_NO_GPU === undefined && (await anonymousBytes()) !== null;

test.skipIf(!canMeasure)("a model streams to the device: the host never holds much more than a shard", async () => {
  const { largest, all } = await writeHollowModel(at("hollow"));
  expect(all).toBeGreaterThan(largest + 320 * MB);
  const before = (await anonymousBytes()) ?? NaN;
  let most = before;
  const watch = setInterval(() => {
    void anonymousBytes().then((bytes) => (most = Math.max(most, bytes ?? NaN)));
  }, 2);
  using model = await loadModel(at("hollow"), { backend: await openBackend("webgpu") });
  clearInterval(watch);
  expect(model.engine.backend.memory.snapshot().weights).toBe(all);
  expect(most).toBeGreaterThan(before);
  expect(most - before).toBeLessThan(largest + 256 * MB);
});
