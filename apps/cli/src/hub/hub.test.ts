import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { DEMO, winnow } from "../testing/winnow";
import { cacheFolder } from "./cache-folder";
import { cachedModels, cachedPlace, removeModel } from "./cached-models";
import { chooseFiles, hasTag } from "./choose-files";
import { pullModel, type PullOptions } from "./pull";
import { formatRepo, parseRepoName, type RepoName } from "./repo-name";
import { LoopbackHub } from "./testing/loopback-hub";

const REPO: RepoName = { owner: "owner", name: "name", revision: "main", file: null };
const LARGE = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) % 251);
const FILES = { "config.json": "{}", "tokenizer.json": '{"a": 1}', "model.safetensors": LARGE, "README.md": "no" };

let cache: string;

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "winnow-cache-"));
});

afterEach(() => {
  rmSync(cache, { recursive: true, force: true });
});

const pull = (hub: LoopbackHub, repo = REPO, more: PullOptions = {}) =>
  pullModel(repo, {
    env: { WINNOW_CACHE: cache, HF_ENDPOINT: hub.url, HF_TOKEN: "hf_secret" },
    retryMs: 1,
    stallMs: 2000,
    ...more,
  });

async function failureOf(run: () => Promise<unknown>): Promise<WinnowError> {
  const error: unknown = await run().then(
    () => new Error("nothing failed"),
    (cause: unknown) => cause,
  );
  if (!(error instanceof WinnowError)) throw error;
  expect(error.message).not.toContain("\n");
  expect(error.message).not.toContain("secret");
  return error;
}

const folder = (): string => join(cache, "models", "owner", "name");
const contentOf = (path: string): Buffer => readFileSync(join(folder(), path));

describe("a model's name", () => {
  test("is what it was written as", () => {
    const part = fc.stringMatching(/^[A-Za-z0-9][\w.-]{0,12}$/).filter((text) => !/^\.+$/.test(text));
    const names = fc.record({
      owner: part,
      name: part,
      revision: fc.oneof(fc.constant("main"), part),
      file: fc.option(fc.stringMatching(/^[\w./ -]{1,20}$/)),
    });
    fc.assert(
      fc.property(names, (repo) => {
        const text = `${formatRepo(repo)}${repo.file === null ? "" : `:${repo.file}`}`;
        expect(parseRepoName(text)).toEqual(repo);
      }),
    );
  });

  test.each(["name", "a/b/c", "../b", "a/..", "a/b@", "a/b:", "a b/c", "a/b@..", "/a/b", ""])("is not %j", (text) => {
    expect(parseRepoName(text)).toBeNull();
  });
});

describe("what is chosen", () => {
  const files = (...paths: readonly string[]) => paths.map((path) => ({ path, bytes: 1, hash: null }));
  const pathsOf = (of: readonly { readonly path: string }[]): string[] => of.map(({ path }) => path);

  test("is what a directory needs, the only GGUF model, or the one that is tagged", () => {
    const dir = files("config.json", "model.safetensors", "pytorch_model.bin", "onnx/model.onnx", "tokenizer.json");
    expect(pathsOf(chooseFiles(dir, null, "r"))).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
    const parts = files("m-Q8_0-00002-of-00002.gguf", "m-Q8_0-00001-of-00002.gguf", "m-Q4_K_M.gguf", "m-IQ4_K_M.gguf");
    expect(pathsOf(chooseFiles(parts, "q8_0", "r"))).toEqual([
      "m-Q8_0-00001-of-00002.gguf",
      "m-Q8_0-00002-of-00002.gguf",
    ]);
    expect(pathsOf(chooseFiles(parts, "Q4_K_M", "r"))).toEqual(["m-Q4_K_M.gguf"]);
    expect(pathsOf(chooseFiles(parts, "m-IQ4_K_M.gguf", "r"))).toEqual(["m-IQ4_K_M.gguf"]);
    expect(pathsOf(chooseFiles(files("only.gguf", "README.md"), null, "r"))).toEqual(["only.gguf"]);
    expect(hasTag("a/model.q4_0.gguf", "Q4_0")).toBe(true);
  });

  test.each([
    [files("a-Q4_0.gguf", "a-Q8_0.gguf"), null, "r has 2 GGUF models; name one of :a-Q4_0.gguf, :a-Q8_0.gguf"],
    [files("a-Q4_0.gguf"), "Q5_0", 'r has no file called "Q5_0"; name one of :a-Q4_0.gguf'],
    [files("README.md"), null, "r has neither config.json with safetensors files nor a GGUF file"],
  ])("is asked for where it is not clear", async (of, wanted, message) => {
    expect((await failureOf(async () => Promise.resolve(chooseFiles(of, wanted, "r")))).message).toBe(message);
  });
});

describe("a pull", () => {
  test("gets what the model needs, page by page of the listing, and nothing twice", async () => {
    await using hub = await LoopbackHub.start(FILES, 2);
    const seen: number[] = [];
    await pull(hub, REPO, { onBytes: (done) => seen.push(done) });
    expect(readdirSync(folder()).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
    expect(contentOf("model.safetensors").equals(LARGE)).toBe(true);
    expect(seen.at(-1)).toBe(LARGE.length + 2 + 8);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(hub.requests.every(({ token }) => token === "Bearer hf_secret")).toBe(true);
    const before = hub.requests.length;
    await pull(hub);
    expect(hub.requests.slice(before).every(({ path }) => path.startsWith("/api/"))).toBe(true);
  });

  test("goes on where a connection broke, and where the one before was interrupted", async () => {
    await using hub = await LoopbackHub.start(FILES);
    let broken = 0;
    const breakAt = (response: ServerResponse, from: number): boolean => {
      response.writeHead(from > 0 ? 206 : 200, {
        "content-length": LARGE.length - from,
        "content-range": `bytes ${from}-${LARGE.length - 1}/${LARGE.length}`,
      });
      response.write(LARGE.subarray(from, from + 70_000), () => response.destroy());
      broken++;
      return true;
    };
    hub.misbehave = ({ url = "", headers }, response) =>
      url.endsWith("model.safetensors") && broken < 2
        ? breakAt(response, Number(/\d+/.exec(headers.range ?? "")?.[0] ?? 0))
        : false;
    await pull(hub);
    expect(contentOf("model.safetensors").equals(LARGE)).toBe(true);
    const ranges = hub.requests.filter(({ path }) => path.endsWith(".safetensors")).map(({ range }) => range);
    expect(ranges).toHaveLength(3);
    expect(ranges[0]).toBeNull();
    expect(Number(/\d+/.exec(ranges[1] ?? "")?.[0])).toBeGreaterThan(0);

    rmSync(folder(), { recursive: true });
    const controller = new AbortController();
    hub.misbehave = ({ url = "" }, response) => {
      if (!url.endsWith("model.safetensors")) return false;
      response.writeHead(200, { "content-length": LARGE.length });
      response.write(LARGE.subarray(0, 100_000), () =>
        setTimeout(() => {
          controller.abort();
        }, 50),
      );
      return true;
    };
    expect((await failureOf(() => pull(hub, REPO, { signal: controller.signal }))).code).toBe("aborted");
    expect(await cachedModels({ WINNOW_CACHE: cache })).toMatchObject([{ name: "owner/name", format: "incomplete" }]);
    hub.misbehave = () => false;
    const before = hub.requests.length;
    await pull(hub);
    expect(hub.requests.slice(before).find(({ path }) => path.endsWith(".safetensors"))?.range).toBe("bytes=100000-");
    expect(contentOf("model.safetensors").equals(LARGE)).toBe(true);
    expect(readdirSync(folder()).some((name) => name.endsWith(".part") || name.endsWith(".lock"))).toBe(false);
  });

  test("begins anew where a hub does not go on from a byte, or has another file by now", async () => {
    await using hub = await LoopbackHub.start(FILES);
    let tries = 0;
    hub.misbehave = ({ url = "" }, response) => {
      if (!url.endsWith("model.safetensors")) return false;
      response.writeHead(200, { "content-length": LARGE.length });
      if (tries++ === 0) response.write(LARGE.subarray(0, 100_000), () => response.destroy());
      else response.end(LARGE);
      return true;
    };
    await pull(hub);
    expect(tries).toBe(2);
    expect(contentOf("model.safetensors").equals(LARGE)).toBe(true);
  });

  test.each<[string, (hub: LoopbackHub) => void, RegExp]>([
    [
      "another content",
      (hub) =>
        (hub.misbehave = ({ url = "" }, response) =>
          url.endsWith("safetensors") && Boolean(response.end(LARGE.toReversed()))),
      /model\.safetensors: its content hashes to [0-9a-f]{64}, and the hub's listing said [0-9a-f]{64}; try again$/,
    ],
    [
      "another small file",
      (hub) => (hub.misbehave = ({ url = "" }, response) => url.endsWith("config.json") && Boolean(response.end("[]"))),
      /config\.json: its content hashes to [0-9a-f]{40}/,
    ],
    [
      "more than it said",
      (hub) =>
        (hub.misbehave = ({ url = "" }, response) => url.endsWith("config.json") && Boolean(response.end("{ }"))),
      /config\.json: the hub sends more than the 2 bytes that its listing said/,
    ],
    [
      "less than it said, again and again",
      (hub) => (hub.misbehave = ({ url = "" }, response) => url.endsWith("config.json") && Boolean(response.end("{"))),
      /config\.json: .*, 5 times; try again later$/,
    ],
    [
      "a page instead of a listing",
      (hub) => (hub.misbehave = ({ url = "" }, response) => url.startsWith("/api") && Boolean(response.end("<html>"))),
      /the answer is no listing of files; is HF_ENDPOINT a hub\?$/,
    ],
    [
      "a listing of something else",
      (hub) => (hub.changeListing = () => [{ type: "file", path: 7, size: -1 }]),
      /the listing has a file without a name or a size$/,
    ],
    ...["../../evil.gguf", "/etc/evil.gguf", "a/../../b.gguf", "C:\\x.gguf", "a\0b.gguf"].map(
      (path): [string, (hub: LoopbackHub) => void, RegExp] => [
        `a file called ${JSON.stringify(path)}`,
        (hub) => (hub.changeListing = (entries) => [...entries, { type: "file", path, size: 1 }]),
        /which leads elsewhere$/,
      ],
    ),
    [
      "nothing",
      (hub) => (hub.misbehave = (_, response) => Boolean(response.writeHead(404).end())),
      /there is nothing of that name; check it and the revision$/,
    ],
    [
      "a refusal",
      (hub) => (hub.misbehave = (_, response) => Boolean(response.writeHead(403).end())),
      /the token in HF_TOKEN may not read it; ask for access on the model's page$/,
    ],
    [
      "errors of its own, again and again",
      (hub) => (hub.misbehave = (_, response) => Boolean(response.writeHead(503).end())),
      /answered 503, 5 times; try again later$/,
    ],
    ["silence", (hub) => (hub.misbehave = () => true), /sent nothing, 2 times; try again later$/],
    [
      "silence amid a file",
      (hub) =>
        (hub.misbehave = ({ url = "" }, response) =>
          url.endsWith("safetensors") && response.writeHead(200, { "content-length": LARGE.length }).write("x")),
      /sent nothing, 2 times; try again later$/,
    ],
  ])("from a hub that sends %s ends in one line", async (name, change, message) => {
    await using hub = await LoopbackHub.start(FILES);
    change(hub);
    const silent = name.startsWith("silence") ? { tries: 2, stallMs: 100 } : {};
    expect((await failureOf(() => pull(hub, REPO, silent))).message).toMatch(message);
    expect(readdirSync(cache, { recursive: true }).some((path) => String(path).includes("evil"))).toBe(false);
  });

  test("waits where the hub asks for it, and says that a token may help where there is none", async () => {
    await using hub = await LoopbackHub.start(FILES);
    let asked = 0;
    hub.misbehave = (_, response) => asked++ === 0 && Boolean(response.writeHead(429, { "retry-after": "0" }).end());
    await pull(hub);
    expect(asked).toBeGreaterThan(1);
    hub.misbehave = (_, response) => Boolean(response.writeHead(401).end());
    const env = { WINNOW_CACHE: cache, HF_ENDPOINT: hub.url };
    expect((await failureOf(() => pullModel(REPO, { env }))).message).toContain("set HF_TOKEN to a token");
  });

  test("takes no token to where the hub leads", async () => {
    await using hub = await LoopbackHub.start(FILES);
    const tokens: (string | undefined)[] = [];
    const elsewhere = createServer((request, response) => {
      tokens.push(request.headers.authorization);
      response.end(LARGE);
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
    const { port } = elsewhere.address() as AddressInfo;
    hub.misbehave = ({ url = "" }, response) =>
      url.endsWith("safetensors") && Boolean(response.writeHead(302, { location: `http://127.0.0.1:${port}/x` }).end());
    hub.changeListing = (entries) => entries;
    await pull(hub);
    elsewhere.close();
    expect(tokens).toEqual([undefined]);
    expect(contentOf("model.safetensors").equals(LARGE)).toBe(true);
  });

  test("is one at a time", async () => {
    await using hub = await LoopbackHub.start(FILES);
    let release = (): void => undefined;
    hub.misbehave = ({ url = "" }, response) => {
      if (!url.endsWith("safetensors")) return false;
      release = () => response.end(LARGE);
      return true;
    };
    const first = pull(hub);
    while (!readdirSync(cache, { recursive: true }).some((path) => String(path).endsWith(".pull.lock"))) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect((await failureOf(() => pull(hub))).message).toContain(`is being pulled already, by process ${process.pid}`);
    while (hub.requests.every(({ path }) => !path.endsWith("safetensors")))
      await new Promise((resolve) => setTimeout(resolve, 5));
    release();
    await first;
    // Left behind by a process that is no more.
    writeFileSync(join(folder(), ".pull.lock"), "999999999");
    hub.misbehave = () => false;
    await pull(hub);
  });
});

describe("the cache folder", () => {
  test("is where the environment says", () => {
    expect(cacheFolder({ WINNOW_CACHE: "/a" })).toBe("/a");
    expect(cacheFolder({ XDG_CACHE_HOME: "/x" }, "linux")).toBe(join("/x", "winnow"));
    expect(cacheFolder({ XDG_CACHE_HOME: "x" }, "linux")).toMatch(/\.cache.winnow$/);
  });

  test("lists models, finds their files, and gives their bytes back", async () => {
    await using hub = await LoopbackHub.start({ "a-Q4_0.gguf": LARGE, "a-Q8_0.gguf": LARGE });
    const env = { WINNOW_CACHE: cache };
    await pull(hub, { ...REPO, file: "Q4_0" });
    await pull(hub, { ...REPO, file: "a-Q8_0.gguf" });
    expect(await cachedModels(env)).toMatchObject([{ name: "owner/name", format: "gguf", bytes: 2 * LARGE.length }]);
    expect(await cachedPlace({ ...REPO, file: "q8_0" }, env)).toBe(join(folder(), "a-Q8_0.gguf"));
    expect((await failureOf(() => cachedPlace(REPO, env))).message).toContain(
      "owner/name has several models; name one of",
    );
    expect((await failureOf(() => cachedPlace({ ...REPO, name: "other" }, env))).message).toBe(
      "owner/other: no such file or directory, and no pulled model; winnow pull owner/other gets it",
    );
    expect(await removeModel("owner/name:Q4_0", env)).toBe(LARGE.length);
    expect(await removeModel("owner/name", env)).toBe(LARGE.length);
    expect(await cachedModels(env)).toEqual([]);
    for (const name of ["owner/name", "../../etc", "owner/..", "x"]) {
      expect((await failureOf(() => removeModel(name, env))).message).toContain("there is no pulled model");
    }
  });
});

test("a pulled model runs by its name", async () => {
  const names = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "model.safetensors",
  ];
  const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(DEMO, name))]));
  await using hub = await LoopbackHub.start(files);
  const env = { WINNOW_CACHE: cache, HF_ENDPOINT: hub.url };
  const missing = await winnow(["run", "--model", "owner/name", "--prompt", "Tom"], { env });
  expect(missing).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("winnow pull owner/name gets it") as unknown,
  });
  const pulled = await winnow(["pull", "owner/name"], { env });
  expect(pulled).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("winnow run --model owner/name") as unknown,
  });
  const asked = ["run", "--prompt", "Tom is 31 years old. How old is Tom?", "--max-tokens", "8", "--json"];
  const [here, there] = [
    await winnow([...asked, "--model", "owner/name"], { env }),
    await winnow([...asked, "--model", DEMO], { env }),
  ];
  const textOf = ({ stdout }: { stdout: string }): unknown => (JSON.parse(stdout) as { text: unknown }).text;
  expect(textOf(here)).toBe(textOf(there));
  const listed = JSON.parse((await winnow(["models", "--json"], { env })).stdout) as object;
  expect(listed).toMatchObject({ models: [{ name: "owner/name", format: "safetensors" }] });
  expect(await winnow(["rm", "owner/name"], { env })).toMatchObject({ code: 0 });
  expect((await winnow(["models"], { env })).stdout).toContain("no models in");
});
