import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { expectTensors } from "./expect-tensors";
import { failureOf } from "./testing/failure";
import { temporaryDirectory } from "./testing/temporary-directory";
import { f32, halves, writeSafetensors, type TensorToWrite } from "./testing/write-safetensors";
import { openWeights } from "./weights";

const at = temporaryDirectory();
let made = 0;

/** A model's directory with shards and an index. */
async function sharded(shards: Readonly<Record<string, readonly TensorToWrite[]>>, index: unknown): Promise<string> {
  const dir = at(`model-${made++}`);
  await mkdir(join(dir, "part"), { recursive: true });
  for (const [name, tensors] of Object.entries(shards)) await writeSafetensors(join(dir, name), tensors);
  if (index !== undefined) await writeFile(join(dir, "model.safetensors.index.json"), JSON.stringify(index));
  return dir;
}

const a = f32("a", [2], [1, 2]);
const b = halves("b", "F16", [1], [0x3c00]);

describe("a directory of weights", () => {
  it("may be one file", async () => {
    const dir = await sharded({ "model.safetensors": [a, b] }, undefined);
    await using weights = await openWeights(dir);
    expect([...weights.tensors.keys()]).toEqual(["a", "b"]);
    expect(weights.whereIs("b")).toBe(`${join(dir, "model.safetensors")}: tensor "b"`);
  });

  it("may be shards under an index, also in folders and behind links", async () => {
    await writeSafetensors(at("blob"), [b]);
    const dir = await sharded(
      { "part/one.safetensors": [a] },
      { metadata: { total_size: 10 }, weight_map: { a: "part/one.safetensors", b: "two.safetensors" } },
    );
    // As in a Hugging Face cache, whose snapshots are links to blobs elsewhere.
    await symlink(at("blob"), join(dir, "two.safetensors"));
    await using weights = await openWeights(dir);
    expect(new Set(weights.tensors.keys())).toEqual(new Set(["a", "b"]));
    expect(weights.has("a") && weights.has("b")).toBe(true);
    expect((await weights.read("a")).data).toEqual(Float32Array.of(1, 2));
    expect(await weights.read("b")).toEqual({ dtype: "f16", shape: [1], data: Uint16Array.of(0x3c00) });
    expect(weights.whereIs("b")).toBe(`${join(dir, "two.safetensors")}: tensor "b"`);
    const error = await failureOf(() => weights.read("c"));
    expect(error.code).toBe("file");
    expect(error.message).toContain('no tensor "c"');
    await weights.close();
    await expect(weights.read("a")).rejects.toMatchObject({ code: "disposed" });
  });

  it.each<[string, Readonly<Record<string, readonly TensorToWrite[]>>, unknown, RegExp]>([
    ["no weights", {}, undefined, /no weights; expected model\.safetensors or model\.safetensors\.index\.json/],
    ["an index that maps nothing", {}, { weight_map: {} }, /weight_map is empty/],
    ["an index without a map", {}, { metadata: {} }, /"weight_map" expected an object that maps tensors to files/],
    [
      "a map to something else than names",
      {},
      { weight_map: { a: 1 } },
      /"weight_map\.a" expected a file name, found 1/,
    ],
    ["a shard that is not there", {}, { weight_map: { a: "one.safetensors" } }, /one\.safetensors: no such file/],
    [
      "a path to the parent",
      {},
      { weight_map: { a: "../blob" } },
      /tensor "a" is mapped to "\.\.\/blob"; expected the name of a file inside/,
    ],
    ["a path through the parent", {}, { weight_map: { a: "part/../../blob" } }, /inside the model's directory/],
    ["an absolute path", {}, { weight_map: { a: "/etc/hostname" } }, /inside the model's directory/],
    ["a path of Windows", {}, { weight_map: { a: "C:\\x" } }, /inside the model's directory/],
    ["a directory for a shard", {}, { weight_map: { a: "part" } }, /part: is a directory/],
    [
      "a tensor that its shard has not",
      { "one.safetensors": [a] },
      { weight_map: { a: "one.safetensors", b: "one.safetensors" } },
      /tensor "b" is mapped to "one\.safetensors", which has no such tensor/,
    ],
    [
      "a tensor in two shards",
      { "one.safetensors": [a], "two.safetensors": [a, b] },
      { weight_map: { a: "one.safetensors", b: "two.safetensors" } },
      /two\.safetensors: tensor "a" is also in "one\.safetensors"/,
    ],
    [
      "a tensor that the index leaves out",
      { "one.safetensors": [a, b] },
      { weight_map: { a: "one.safetensors" } },
      /one\.safetensors: tensor "b" is missing from .*index\.json/,
    ],
  ])("refuses %s", async (_, shards, index, message) => {
    const dir = await sharded(shards, index);
    const error = await failureOf(() => openWeights(dir));
    expect(error.code).toBe("file");
    expect(error.message).toMatch(message);
  });

  it("has to be a directory", async () => {
    await writeFile(at("file"), "");
    expect((await failureOf(() => openWeights(at("file")))).message).toBe(
      `${at("file")}: not a directory, expected one with a model's files`,
    );
    expect((await failureOf(() => openWeights(at("nowhere")))).message).toBe(
      `${at("nowhere")}: no such file or directory`,
    );
  });
});

describe("the tensors that a model calls for", () => {
  it("are all there, with their shapes, and no others", async () => {
    const dir = await sharded({ "model.safetensors": [a, b] }, undefined);
    await using weights = await openWeights(dir);
    const check = (expected: Readonly<Record<string, readonly number[]>>, ignored?: RegExp) => () => {
      expectTensors(weights, new Map(Object.entries(expected)), ignored);
    };
    check({ a: [2], b: [1] })();
    check({ a: [2] }, /^b$/)();
    const file = join(dir, "model.safetensors");
    expect((await failureOf(check({ a: [2], b: [1], c: [3, 4] }))).message).toBe(
      `${file}: tensor "c" is missing; the configuration calls for it with shape [3, 4]`,
    );
    expect((await failureOf(check({ a: [2, 1], b: [1] }))).message).toBe(
      `${file}: tensor "a" has shape [2]; expected [2, 1] by the configuration`,
    );
    expect((await failureOf(check({ a: [2] }))).message).toBe(
      `${file}: tensor "b" is unknown; the configuration does not call for it`,
    );
  });
});
