import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { cachedModels, modelDir, removeEmptyParents, removeModel } from "./cached-models";
import { formatModelName, parseModelName, type ModelName } from "./model-name";
import { findCached, resolveModel } from "./resolve-model";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "winnow-cache-"));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function named(text: string): ModelName {
  const name = parseModelName(text);
  if (name === null) throw new Error(text);
  return name;
}

/** A model's folder with some files of ten bytes; `whole` says whether all of them are there. */
function put(text: string, files: readonly string[], whole = true): string {
  const dir = modelDir(root, named(text));
  mkdirSync(dir, { recursive: true });
  for (const file of files) writeFileSync(join(dir, file), "0123456789");
  const entries = files.map((name) => ({ name, bytes: 10, digest: { kind: "git", hex: "a".repeat(40) } }));
  const manifest = { version: 1, commit: "b", pulledAt: "2024-05-06T07:08:09.000Z", files: entries };
  if (whole) writeFileSync(join(dir, "winnow.json"), JSON.stringify(manifest));
  return dir;
}

const env = (): NodeJS.ProcessEnv => ({ WINNOW_CACHE: root });

describe("what is in the cache", () => {
  test("is listed by name, with what there is of it", async () => {
    put("b/folder", ["config.json", "model.safetensors"]);
    put("a/gguf:q8/m-Q8_0.gguf", ["m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"]);
    put("a/gguf@refs/pr/1:m-Q4_0.gguf", ["m-Q4_0.gguf.0123456789abcdef.part"], false);
    const models = await cachedModels(root);
    expect(models.map(({ name, bytes, format, place }) => [formatModelName(name), bytes, format, place])).toEqual([
      [
        "a/gguf:q8/m-Q8_0.gguf",
        20,
        "gguf",
        join(root, "models/a/gguf@main/q8%2Fm-Q8_0.gguf/m-Q8_0-00001-of-00002.gguf"),
      ],
      ["a/gguf@refs/pr/1:m-Q4_0.gguf", 10, "gguf", null],
      ["b/folder", 20, "safetensors", join(root, "models/b/folder@main/safetensors")],
    ]);
    expect(models[2]?.changed.toISOString()).toBe("2024-05-06T07:08:09.000Z");
  });

  test("is nothing where there is no cache", async () => {
    expect(await cachedModels(join(root, "none"))).toEqual([]);
  });

  test.each([
    "{",
    "[]",
    '{"version":2}',
    '{"version":1,"commit":"b","pulledAt":"2024-05-06T07:08:09.000Z","files":[]}',
  ])("is not relied on where its manifest is %s", async (text) => {
    const dir = put("a/b", ["config.json"]);
    writeFileSync(join(dir, "winnow.json"), text);
    expect(await cachedModels(root)).toMatchObject([{ place: null, bytes: 10 }]);
  });

  test("is not what a link leads to, or what is there by another hand", async () => {
    const outside = mkdtempSync(join(tmpdir(), "winnow-outside-"));
    try {
      writeFileSync(join(outside, "config.json"), "{}");
      put("a/b:m.gguf", ["m.gguf"]);
      symlinkSync(outside, modelDir(root, named("a/b")));
      symlinkSync(outside, join(root, "models", "linked"));
      mkdirSync(join(root, "models", "a", "no revision"));
      mkdirSync(join(root, "models", "a", "b@%zz"));
      mkdirSync(join(root, "models", "a", "b@main", "folder"));
      mkdirSync(join(root, "models", "a", "b@main", "m.gguf.lock"));
      writeFileSync(join(root, "models", "file"), "");
      expect((await cachedModels(root)).map(({ name }) => formatModelName(name))).toEqual(["a/b:m.gguf"]);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  test("is deleted by itself, with the folders that are empty then", async () => {
    const one = put("a/b:m-Q4_0.gguf", ["m-Q4_0.gguf"]);
    const other = put("a/b:m-Q8_0.gguf", ["m-Q8_0.gguf"]);
    for (const text of ["a/b:Q4_0", "a/b"]) {
      const model = await findCached(root, named(text));
      await removeModel(model);
      await removeEmptyParents(model);
      expect(existsSync(one)).toBe(false);
    }
    expect(existsSync(other)).toBe(false);
    expect(existsSync(join(root, "models", "a"))).toBe(false);
  });
});

describe("what a name finds", () => {
  test("the folder, or else the only GGUF model", async () => {
    const gguf = put("a/b:m-Q4_0.gguf", ["m-Q4_0.gguf"]);
    expect(await resolveModel("a/b", env())).toEqual({ place: join(gguf, "m-Q4_0.gguf"), name: "a/b" });
    const folder = put("a/b", ["config.json"]);
    expect(await resolveModel("a/b", env())).toEqual({ place: folder, name: "a/b" });
    expect((await resolveModel("a/b:q4_0", env())).place).toBe(join(gguf, "m-Q4_0.gguf"));
  });

  test("what is at a path comes first", async () => {
    put("src/hub", ["config.json"]);
    expect(await resolveModel("src/hub", env())).toEqual({ place: "src/hub", name: "hub" });
  });

  test("what is no name is a path, whatever is there", async () => {
    expect(await resolveModel("../nowhere", env())).toEqual({ place: "../nowhere", name: "nowhere" });
    expect((await resolveModel("nowhere.gguf", env())).place).toBe("nowhere.gguf");
  });

  test.each([
    ["a/c", /a\/c: there is no such path, and no model of that name has been pulled; .*winnow pull a\/c$/],
    ["a/b@v2", /winnow pull a\/b@v2$/],
    ["a/b:Q6_K", /has been pulled \(a\/b:m-Q4_0.gguf, a\/b:m-Q8_0.gguf have\); .*winnow pull a\/b:Q6_K$/],
    ["a/b", /2 models have been pulled; name one of a\/b:m-Q4_0.gguf, a\/b:m-Q8_0.gguf$/],
    ["a/part", /a\/part: has been pulled in part only; winnow pull a\/part gets the rest$/],
  ])("%s: nothing, or too much", async (text, message) => {
    put("a/b:m-Q4_0.gguf", ["m-Q4_0.gguf"]);
    put("a/b:m-Q8_0.gguf", ["m-Q8_0.gguf"]);
    put("a/part", ["config.json"], false);
    await expect(resolveModel(text, env())).rejects.toThrow(message);
  });
});
