import { readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { cachedModels } from "./cached-models";
import { parseModelName } from "./model-name";
import { findCached } from "./resolve-model";
import { cutAt, drip, status } from "./testing/faults";
import { PullScene, CONFIG, FOLDER, WEIGHTS, bytes } from "./testing/pull-scene";

const scene = new PullScene();

describe("what is pulled", () => {
  test("of a folder the files that are read, and nothing else", async () => {
    scene.hub.publish("a/b", {
      ...FOLDER,
      "generation_config.json": "{}",
      "tokenizer_config.json": "{}",
      "chat_template.jinja": "{{ messages }}",
      "README.md": "hello",
      "pytorch_model.bin": bytes(10),
      "consolidated.safetensors": bytes(10),
      "onnx/model.onnx": bytes(10),
      "model-Q8_0.gguf": bytes(10),
      "original/config.json": "{}",
    });
    const { dir, name, upToDate, bytes: size } = await scene.get("a/b");
    expect(files(dir)).toEqual([
      "chat_template.jinja",
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
      "winnow.json",
    ]);
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(readFileSync(join(dir, "config.json"), "utf8")).toBe(CONFIG);
    expect({ file: name.file, upToDate }).toEqual({ file: null, upToDate: false });
    expect(size).toBe(
      files(dir).reduce((sum, file) => sum + (file === "winnow.json" ? 0 : statSync(join(dir, file)).size), 0),
    );
  });

  test("the shards that an index names", async () => {
    const shard = (i: number): string => `model-0000${i}-of-00002.safetensors`;
    const index = JSON.stringify({ weight_map: { a: shard(1), b: shard(2), c: shard(1) } });
    scene.hub.publish("a/b", {
      "config.json": CONFIG,
      "model.safetensors.index.json": index,
      [shard(1)]: bytes(100, 1),
      [shard(2)]: bytes(100, 2),
      "adapter.safetensors": bytes(10),
    });
    const { dir } = await scene.get("a/b");
    expect(files(dir)).toEqual(["config.json", shard(1), shard(2), "model.safetensors.index.json", "winnow.json"]);
    expect(readFileSync(join(dir, shard(2))).equals(bytes(100, 2))).toBe(true);
  });

  test("a GGUF model by its quantisation, all parts of it", async () => {
    scene.hub.publish("a/b", {
      "m-Q4_K_M.gguf": bytes(50, 1),
      "q8/m-Q8_0-00002-of-00002.gguf": bytes(50, 3),
      "q8/m-Q8_0-00001-of-00002.gguf": bytes(50, 2),
    });
    const { dir, name } = await scene.get("a/b:q8_0");
    expect(name.file).toBe("q8/m-Q8_0.gguf");
    expect(files(dir)).toEqual(["m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf", "winnow.json"]);
    for (const text of ["a/b", "a/b:Q8_0", "a/b:q8/m-Q8_0-00001-of-00002.gguf"]) {
      expect((await findCached(scene.root, parseModelName(text) ?? name)).place).toBe(
        join(dir, "m-Q8_0-00001-of-00002.gguf"),
      );
    }
  });

  test("the only GGUF model of a repository", async () => {
    scene.hub.publish("a/b", { "m-Q4_K_M.gguf": bytes(50), "README.md": "x", "config.json": "{}" });
    expect((await scene.get("a/b")).name.file).toBe("m-Q4_K_M.gguf");
  });

  test("a revision by itself", async () => {
    scene.hub.publish("a/b", FOLDER);
    scene.hub.publish("a/b", { ...FOLDER, "config.json": "{}" }, "refs/pr/1");
    const main = await scene.get("a/b");
    const other = await scene.get("a/b@refs/pr/1");
    expect(readFileSync(join(main.dir, "config.json"), "utf8")).toBe(CONFIG);
    expect(readFileSync(join(other.dir, "config.json"), "utf8")).toBe("{}");
    expect((await cachedModels(scene.root)).map(({ name }) => name.revision)).toEqual(["main", "refs/pr/1"]);
  });

  test("what is listed on several pages", async () => {
    scene.hub.publish("a/b", { ...Object.fromEntries(numbers(20).map((i) => [`x${i}.txt`, "x"])), ...FOLDER });
    scene.hub.pageFiles = 5;
    await scene.get("a/b");
    expect(scene.hub.requests.filter(({ what }) => what === "listing").map(({ detail }) => detail)).toEqual([
      "0",
      "5",
      "10",
      "15",
      "20",
    ]);
  });

  test.each([
    [
      "several GGUF models",
      "a/b",
      { "m-Q4_0.gguf": "x", "m-Q8_0.gguf": "y" },
      /means 2 GGUF models; name one of m-Q4_0.gguf, m-Q8_0.gguf, as in winnow pull a\/b:m-Q4_0.gguf/,
    ],
    ["none of that quantisation", "a/b:Q6_K", { "m-Q4_0.gguf": "x" }, /no such GGUF model; name one of m-Q4_0.gguf/],
    ["two of that quantisation", "a/b:Q4_0", { "m-Q4_0.gguf": "x", "n-Q4_0.gguf": "x" }, /means 2 GGUF models/],
    ["a quantisation of a folder", "a/b:Q4_0", FOLDER, /has model.safetensors; expected GGUF files/],
    [
      "weights that are not read",
      "a/b",
      { "config.json": "{}", "pytorch_model.bin": "x" },
      /has pytorch_model.bin; expected config.json with model.safetensors/,
    ],
    ["no weights", "a/b", { "README.md": "x" }, /has no weights/],
    ["nothing", "a/b", {}, /has no weights/],
    [
      "a part that is missing",
      "a/b",
      { "m-00001-of-00002.gguf": "x" },
      /split into 2 files, of which the repository has 1/,
    ],
    [
      "an index that names what is not there",
      "a/b",
      { "config.json": "{}", "model.safetensors.index.json": '{"weight_map":{"a":"../../x"}}' },
      /names "..\/..\/x", which the repository does not have/,
    ],
    [
      "an index that is none",
      "a/b",
      { "config.json": "{}", "model.safetensors.index.json": "[]" },
      /does not map tensors to files/,
    ],
    ["a name that no file can have", "a/b", { "con.gguf": "x" }, /"con.gguf" is no name that a file can have/],
  ])("not %s", async (_, name, published, message) => {
    scene.hub.publish("a/b", published);
    expect(await scene.failure(name)).toMatch(message);
    expect(await cachedModels(scene.root)).toEqual([]);
  });
});

describe("what is there already", () => {
  test("is not fetched again", async () => {
    scene.hub.publish("a/b", FOLDER);
    await scene.get("a/b");
    scene.hub.requests.length = 0;
    expect((await scene.get("a/b")).upToDate).toBe(true);
    expect(scene.hub.requests.map(({ what }) => what)).toEqual(["commit", "listing"]);
  });

  test("is fetched file by file where the hub has another", async () => {
    scene.hub.publish("a/b", FOLDER);
    await scene.get("a/b");
    scene.hub.publish("a/b", { ...FOLDER, "config.json": "{ }" });
    scene.hub.requests.length = 0;
    const { dir, upToDate } = await scene.get("a/b");
    expect(upToDate).toBe(false);
    expect(readFileSync(join(dir, "config.json"), "utf8")).toBe("{ }");
    expect(scene.asked("model.safetensors")).toEqual([]);
    expect(scene.asked("config.json")).toEqual([0]);
  });

  test("stays as it is while something newer comes", async () => {
    scene.hub.publish("a/b", FOLDER);
    const { dir } = await scene.get("a/b");
    scene.hub.publish("a/b", { ...FOLDER, "config.json": "{ }", "model.safetensors": bytes(200_000, 2) });
    scene.faulty("model.safetensors", cutAt(100_000), status(404));
    await scene.failure("a/b");
    expect(readFileSync(join(dir, "config.json"), "utf8")).toBe(CONFIG);
    expect((await cachedModels(scene.root))[0]?.place).toBe(dir);
    scene.hub.fault = () => null;
    await scene.get("a/b");
    expect(readFileSync(join(dir, "model.safetensors")).equals(bytes(200_000, 2))).toBe(true);
    expect(files(dir)).toEqual(["config.json", "model.safetensors", "tokenizer.json", "winnow.json"]);
  });

  test("is mended where it was cut short", async () => {
    scene.hub.publish("a/b", FOLDER);
    const { dir } = await scene.get("a/b");
    truncateSync(join(dir, "model.safetensors"), 10);
    expect((await cachedModels(scene.root))[0]?.place).toBeNull();
    await scene.get("a/b");
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });

  test("is checked and not fetched where a process ended before it could say that it is whole", async () => {
    scene.hub.publish("a/b", FOLDER);
    const { dir } = await scene.get("a/b");
    rmSync(join(dir, "winnow.json"));
    scene.hub.requests.length = 0;
    await scene.get("a/b");
    expect(scene.hub.requests.map(({ what }) => what)).toEqual(["commit", "listing"]);
    rmSync(join(dir, "winnow.json"));
    writeFileSync(join(dir, "model.safetensors"), bytes(WEIGHTS.length, 9));
    await scene.get("a/b");
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });
});

describe("the token", () => {
  test("is sent to the hub with every request, and to nobody else", async () => {
    scene.hub.token = "hf_secret";
    scene.hub.publish("a/b", FOLDER);
    expect(await scene.failure("a/b")).toMatch(/answered 401/);
    expect(await scene.failure("a/b", { token: "hf_other" })).not.toMatch(/hf_other/);
    scene.hub.requests.length = 0;
    scene.faulty("model.safetensors", cutAt(120_000));
    await scene.get("a/b", { token: "hf_secret" });
    const sent = (isStorage: boolean): (string | undefined)[] =>
      scene.hub.requests
        .filter(({ what }) => (what === "storage") === isStorage)
        .map(({ authorization }) => authorization);
    expect(new Set(sent(false))).toEqual(new Set(["Bearer hf_secret"]));
    expect(sent(true)).toEqual([undefined, undefined]);
    expect(scene.notes.join("\n")).not.toMatch(/secret/);
  });

  test("need not look like one of Hugging Face's", async () => {
    scene.hub.token = "mirror-token";
    scene.hub.publish("a/b", FOLDER);
    await scene.get("a/b", { token: "mirror-token" });
  });
});

test("two pulls of one model at once: one of them waits", async () => {
  scene.hub.publish("a/b", FOLDER);
  scene.faulty("model.safetensors", drip(5, 100));
  const [first, second] = await Promise.all([scene.get("a/b"), scene.get("a/b")]);
  expect([first.upToDate, second.upToDate].sort()).toEqual([false, true]);
  expect(scene.asked("model.safetensors")).toEqual([0]);
  expect(scene.notes).toEqual(["another process is pulling a/b; waiting for it"]);
  expect(readFileSync(join(first.dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
});

test("two models of one repository at once do not wait for each other", async () => {
  scene.hub.publish("a/b", { "m-Q4_0.gguf": bytes(1000, 1), "m-Q8_0.gguf": bytes(1000, 2) });
  await Promise.all([scene.get("a/b:Q4_0"), scene.get("a/b:Q8_0")]);
  expect(scene.notes).toEqual([]);
  expect((await cachedModels(scene.root)).map(({ name }) => name.file)).toEqual(["m-Q4_0.gguf", "m-Q8_0.gguf"]);
});

function files(dir: string): string[] {
  return readdirSync(dir).sort();
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
