import { join, resolve, sep } from "node:path";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { modelDir } from "./cached-models";
import { expectModelName, formatModelName, parseModelName } from "./model-name";

describe("what names a model", () => {
  test.each([
    ["a/b", { owner: "a", repo: "b", revision: "main", file: null }],
    ["Qwen/Qwen2.5-0.5B", { owner: "Qwen", repo: "Qwen2.5-0.5B", revision: "main", file: null }],
    ["a/b@v1.0", { owner: "a", repo: "b", revision: "v1.0", file: null }],
    ["a/b@refs/pr/1", { owner: "a", repo: "b", revision: "refs/pr/1", file: null }],
    ["a/b:Q4_K_M", { owner: "a", repo: "b", revision: "main", file: "Q4_K_M" }],
    ["a/b@x:dir/m-Q8_0.gguf", { owner: "a", repo: "b", revision: "x", file: "dir/m-Q8_0.gguf" }],
    ["a/b:with space.gguf", { owner: "a", repo: "b", revision: "main", file: "with space.gguf" }],
  ])("%s", (text, name) => {
    expect(parseModelName(text)).toEqual(name);
  });

  test.each([
    "",
    "a",
    "/a",
    "a/",
    "a/b/c",
    "../b",
    "a/..",
    "./b",
    "a/b@",
    "a/b:",
    "a/b@../x",
    "a/b@x//y",
    "a/b@-x",
    "a/b:../../x",
    "a/b:/etc/passwd",
    "a/b:x/../y",
    "a/b:x\0y",
    "a/b:x\ny",
    "a/b--c",
    "a/b..c",
    "a/.b",
    "a/b.git",
    "a b/c",
    "C:\\models\\x",
    "https://huggingface.co/a/b",
    "a/b:\ud800",
  ])("%j does not", (text) => {
    expect(parseModelName(text)).toBeNull();
    expect(() => expectModelName(text)).toThrow(/names no model; expected OWNER\/NAME/);
  });
});

describe("for generated texts", () => {
  const word = fc
    .stringMatching(/^[A-Za-z0-9](?:[A-Za-z0-9._]{0,20}[A-Za-z0-9])?$/)
    .filter((w) => !/\.\.|\.git$/.test(w));
  const revision = fc.option(fc.stringMatching(/^[A-Za-z0-9]{1,9}(?:\/[A-Za-z0-9]{1,9}){0,2}$/), { nil: "main" });
  const file = fc.option(fc.stringMatching(/^[A-Za-z0-9_@:. -]{0,20}[A-Za-z0-9](?:\/[A-Za-z0-9_-]{1,9}\.gguf)?$/), {
    nil: null,
  });
  const named = fc.record({ owner: word, repo: word, revision, file });

  test("a name is read as it was written", () => {
    fc.assert(
      fc.property(named, (name) => {
        fc.pre(name.file === null || name.file.split("/").every((part) => part !== "." && part !== ".."));
        expect(parseModelName(formatModelName(name))).toEqual(name);
      }),
      { seed: 1, numRuns: 1000 },
    );
  });

  test("whatever is read stays inside of the cache, and is read again from what is written", () => {
    const pieces = fc.constantFrom(
      "a",
      "b-c",
      "..",
      ".",
      "/",
      "@",
      ":",
      "\\",
      "main",
      "x.gguf",
      "%2e",
      "\0",
      "Q4_K_M",
      "~",
      " ",
    );
    const some = fc.array(pieces, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(""));
    const part = (before: string): fc.Arbitrary<string> =>
      fc.option(
        some.map((text) => before + text),
        { nil: "" },
      );
    const texts = fc.tuple(some, part("/"), part("@"), part(":")).map((parts) => parts.join(""));
    const root = resolve("/cache");
    let read = 0;
    fc.assert(
      fc.property(texts, (text) => {
        const name = parseModelName(text);
        if (name === null) return;
        read++;
        const dir = modelDir(root, name);
        expect(resolve(dir)).toBe(dir);
        expect(dir.startsWith(join(root, "models") + sep)).toBe(true);
        expect(dir.slice(root.length).split(sep)).toHaveLength(5);
        expect(parseModelName(formatModelName(name))).toEqual(name);
      }),
      { seed: 2, numRuns: 20_000 },
    );
    expect(read).toBeGreaterThan(100);
  });
});
