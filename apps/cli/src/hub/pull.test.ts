import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { cachedModels } from "./cached-models";
import { parseModelName } from "./model-name";
import type { Patience } from "./patience";
import { pull, type PulledModel } from "./pull";
import { findCached } from "./resolve-model";
import { body, cutAt, drip, ignoreRange, silence, stallAt, status } from "./testing/faults";
import { LoopbackHub, gitOid, type Fault, type HubRequest } from "./testing/loopback-hub";

const QUICK: Patience = { stallMs: 10_000, attempts: 3, backoffMs: 1, longestWaitMs: 50 };

/** Bytes of a file that no two files share. */
function bytes(length: number, seed = 1): Buffer {
  const all = Buffer.alloc(length);
  for (let i = 0, x = seed; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    all[i] = x >>> 24;
  }
  return all;
}

const CONFIG = '{"architectures":["LlamaForCausalLM"]}\n';
const WEIGHTS = bytes(200_000);
const FOLDER = { "config.json": CONFIG, "tokenizer.json": "{}", "model.safetensors": WEIGHTS };

let hub: LoopbackHub;
let root: string;
let notes: string[];

beforeEach(async () => {
  hub = await LoopbackHub.start();
  root = mkdtempSync(join(tmpdir(), "winnow-hub-"));
  notes = [];
});

afterEach(async () => {
  await hub[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

interface Settings {
  readonly patience?: Patience;
  readonly token?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

function get(text: string, { patience = QUICK, token, signal, onProgress }: Settings = {}): Promise<PulledModel> {
  const name = parseModelName(text);
  if (name === null) throw new Error(text);
  return pull(name, {
    endpoint: { url: hub.url, origin: hub.url, token: token ?? null },
    root,
    patience,
    signal: signal ?? new AbortController().signal,
    onNote: (line) => notes.push(line),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}

/** How it failed, which must be one line that a program can print. */
async function failure(text: string, settings?: Settings): Promise<string> {
  const error: unknown = await get(text, settings).catch((cause: unknown) => cause);
  if (!(error instanceof WinnowError)) throw new Error("it did not fail as it should", { cause: error });
  expect(error.code).toBe("file");
  expect(error.message).toMatch(/^[^\n]+$/);
  return error.message;
}

/** One fault after the other for the bytes of a file, then right answers. */
function faulty(detail: string, ...faults: readonly (Fault | null)[]): void {
  let i = 0;
  hub.fault = (request) => (request.detail === detail && bytesOf(request) ? (faults[i++] ?? null) : null);
}

/** Whether a request is for bytes, and not answered by a redirect. */
function bytesOf({ what, detail }: HubRequest): boolean {
  return what === "storage" || (what === "file" && !/\.(?:safetensors|gguf)$/.test(detail));
}

/** From where the bytes of a file were asked for, request by request. */
function asked(detail: string): number[] {
  return hub.requests.filter((request) => request.detail === detail && bytesOf(request)).map(({ from }) => from);
}

function files(dir: string): string[] {
  return readdirSync(dir).sort();
}

describe("what is pulled", () => {
  test("of a folder the files that are read, and nothing else", async () => {
    hub.publish("a/b", {
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
    const { dir, name, upToDate, bytes: size } = await get("a/b");
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
    hub.publish("a/b", {
      "config.json": CONFIG,
      "model.safetensors.index.json": index,
      [shard(1)]: bytes(100, 1),
      [shard(2)]: bytes(100, 2),
      "adapter.safetensors": bytes(10),
    });
    const { dir } = await get("a/b");
    expect(files(dir)).toEqual(["config.json", shard(1), shard(2), "model.safetensors.index.json", "winnow.json"]);
    expect(readFileSync(join(dir, shard(2))).equals(bytes(100, 2))).toBe(true);
  });

  test("a GGUF model by its quantisation, all parts of it", async () => {
    hub.publish("a/b", {
      "m-Q4_K_M.gguf": bytes(50, 1),
      "q8/m-Q8_0-00002-of-00002.gguf": bytes(50, 3),
      "q8/m-Q8_0-00001-of-00002.gguf": bytes(50, 2),
    });
    const { dir, name } = await get("a/b:q8_0");
    expect(name.file).toBe("q8/m-Q8_0.gguf");
    expect(files(dir)).toEqual(["m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf", "winnow.json"]);
    for (const text of ["a/b", "a/b:Q8_0", "a/b:q8/m-Q8_0-00001-of-00002.gguf"]) {
      expect((await findCached(root, parseModelName(text) ?? name)).place).toBe(
        join(dir, "m-Q8_0-00001-of-00002.gguf"),
      );
    }
  });

  test("the only GGUF model of a repository", async () => {
    hub.publish("a/b", { "m-Q4_K_M.gguf": bytes(50), "README.md": "x", "config.json": "{}" });
    expect((await get("a/b")).name.file).toBe("m-Q4_K_M.gguf");
  });

  test("a revision by itself", async () => {
    hub.publish("a/b", FOLDER);
    hub.publish("a/b", { ...FOLDER, "config.json": "{}" }, "refs/pr/1");
    const main = await get("a/b");
    const other = await get("a/b@refs/pr/1");
    expect(readFileSync(join(main.dir, "config.json"), "utf8")).toBe(CONFIG);
    expect(readFileSync(join(other.dir, "config.json"), "utf8")).toBe("{}");
    expect((await cachedModels(root)).map(({ name }) => name.revision)).toEqual(["main", "refs/pr/1"]);
  });

  test("what is listed on several pages", async () => {
    hub.publish("a/b", { ...Object.fromEntries(numbers(20).map((i) => [`x${i}.txt`, "x"])), ...FOLDER });
    hub.pageFiles = 5;
    await get("a/b");
    expect(hub.requests.filter(({ what }) => what === "listing").map(({ detail }) => detail)).toEqual([
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
    hub.publish("a/b", published);
    expect(await failure(name)).toMatch(message);
    expect(await cachedModels(root)).toEqual([]);
  });
});

describe("what is there already", () => {
  test("is not fetched again", async () => {
    hub.publish("a/b", FOLDER);
    await get("a/b");
    hub.requests.length = 0;
    expect((await get("a/b")).upToDate).toBe(true);
    expect(hub.requests.map(({ what }) => what)).toEqual(["commit", "listing"]);
  });

  test("is fetched file by file where the hub has another", async () => {
    hub.publish("a/b", FOLDER);
    await get("a/b");
    hub.publish("a/b", { ...FOLDER, "config.json": "{ }" });
    hub.requests.length = 0;
    const { dir, upToDate } = await get("a/b");
    expect(upToDate).toBe(false);
    expect(readFileSync(join(dir, "config.json"), "utf8")).toBe("{ }");
    expect(asked("model.safetensors")).toEqual([]);
    expect(asked("config.json")).toEqual([0]);
  });

  test("stays as it is while something newer comes", async () => {
    hub.publish("a/b", FOLDER);
    const { dir } = await get("a/b");
    hub.publish("a/b", { ...FOLDER, "config.json": "{ }", "model.safetensors": bytes(200_000, 2) });
    faulty("model.safetensors", cutAt(100_000), status(404));
    await failure("a/b");
    expect(readFileSync(join(dir, "config.json"), "utf8")).toBe(CONFIG);
    expect((await cachedModels(root))[0]?.place).toBe(dir);
    hub.fault = () => null;
    await get("a/b");
    expect(readFileSync(join(dir, "model.safetensors")).equals(bytes(200_000, 2))).toBe(true);
    expect(files(dir)).toEqual(["config.json", "model.safetensors", "tokenizer.json", "winnow.json"]);
  });

  test("is mended where it was cut short", async () => {
    hub.publish("a/b", FOLDER);
    const { dir } = await get("a/b");
    truncateSync(join(dir, "model.safetensors"), 10);
    expect((await cachedModels(root))[0]?.place).toBeNull();
    await get("a/b");
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });

  test("is checked and not fetched where a process ended before it could say that it is whole", async () => {
    hub.publish("a/b", FOLDER);
    const { dir } = await get("a/b");
    rmSync(join(dir, "winnow.json"));
    hub.requests.length = 0;
    await get("a/b");
    expect(hub.requests.map(({ what }) => what)).toEqual(["commit", "listing"]);
    rmSync(join(dir, "winnow.json"));
    writeFileSync(join(dir, "model.safetensors"), bytes(WEIGHTS.length, 9));
    await get("a/b");
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });
});

describe("a download that is interrupted", () => {
  test("goes on where the connection was cut", async () => {
    hub.publish("a/b", FOLDER);
    faulty("model.safetensors", cutAt(120_000));
    const { dir } = await get("a/b");
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(asked("model.safetensors")).toEqual([0, 120_000]);
    expect(notes).toEqual([expect.stringMatching(/^a\/b, model\.safetensors: the connection was cut; attempt 2 of 3/)]);
  });

  test("goes on in the next call, and in the one after that", async () => {
    hub.publish("a/b", FOLDER);
    faulty("model.safetensors", cutAt(80_000), status(404), cutAt(150_000, 80_000), status(404));
    await failure("a/b");
    await failure("a/b");
    const [found] = await cachedModels(root);
    expect(found).toMatchObject({ place: null, format: "safetensors" });
    const seen: number[] = [];
    const { dir } = await get("a/b", { onProgress: (done) => seen.push(done) });
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(asked("model.safetensors")).toEqual([0, 80_000, 80_000, 150_000, 150_000]);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(WEIGHTS.length + CONFIG.length + 2);
  });

  test("goes on after an abort", async () => {
    hub.publish("a/b", FOLDER);
    faulty("model.safetensors", stallAt(50_000));
    const controller = new AbortController();
    const error: unknown = await get("a/b", {
      patience: { ...QUICK, stallMs: 60_000 },
      signal: controller.signal,
      onProgress: (done) => {
        if (done > 50_000) controller.abort();
      },
    }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "aborted" });
    await get("a/b");
    const [, second = 0] = asked("model.safetensors");
    expect(second).toBeGreaterThan(0);
  });

  test("begins anew where the hub has another file meanwhile", async () => {
    hub.publish("a/b", FOLDER);
    faulty("model.safetensors", cutAt(120_000), status(404));
    await failure("a/b");
    const newer = bytes(150_000, 7);
    hub.publish("a/b", { ...FOLDER, "model.safetensors": newer });
    hub.requests.length = 0;
    const { dir } = await get("a/b");
    expect(asked("model.safetensors")).toEqual([0]);
    expect(readFileSync(join(dir, "model.safetensors")).equals(newer)).toBe(true);
    expect(files(dir).filter((file) => file.endsWith(".part"))).toEqual([]);
  });

  test("begins anew where the server knows no ranges", async () => {
    hub.publish("a/b", FOLDER);
    faulty("model.safetensors", cutAt(120_000), ignoreRange);
    const { dir } = await get("a/b");
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });

  test("begins anew where what came before was damaged, once", async () => {
    hub.publish("a/b", FOLDER);
    faulty("model.safetensors", cutAt(120_000), status(404));
    await failure("a/b");
    const [model] = await cachedModels(root);
    const part = files(model?.dir ?? "").find((file) => file.startsWith("model.safetensors")) ?? "";
    writeFileSync(join(model?.dir ?? "", part), bytes(120_000, 8));
    hub.requests.length = 0;
    const { dir } = await get("a/b");
    expect(asked("model.safetensors")).toEqual([120_000, 0]);
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });

  test("begins anew where another range is answered than was asked for", async () => {
    hub.publish("a/b", FOLDER);
    faulty("model.safetensors", cutAt(120_000), cutAt(150_000, 130_000));
    const { dir } = await get("a/b");
    expect(asked("model.safetensors")).toEqual([0, 120_000, 0]);
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });

  test("does not go on for ever with a server that always hangs up", async () => {
    hub.publish("a/b", FOLDER);
    hub.fault = ({ what, from }) => (what === "storage" ? cutAt(from + 10, from) : null);
    expect(await failure("a/b")).toMatch(
      /model\.safetensors: the connection was cut, 3 times in a row; check the connection/,
    );
    expect(asked("model.safetensors")).toEqual([0, 10, 20]);
  });
});

describe("a server that lies", () => {
  test.each([
    [
      "other bytes of the same length",
      body(bytes(WEIGHTS.length, 3)),
      /has another SHA-256 than the hub lists, [0-9a-f]{64}/,
    ],
    ["more bytes", body(bytes(WEIGHTS.length + 1)), /sends more than the 200000 bytes that it lists/],
    ["a longer file", sized(WEIGHTS.length + 5), /sends 200005 bytes of application\/octet-stream, and lists 200000/],
    ["a shorter file", sized(WEIGHTS.length - 5), /sends 199995 bytes/],
    ["a page", sized(300, "text/html"), /sends 300 bytes of text\/html/],
  ])("with %s", async (_, fault, message) => {
    hub.publish("a/b", FOLDER);
    hub.fault = ({ what }) => (what === "storage" ? fault : null);
    expect(await failure("a/b")).toMatch(message);
    const [model] = await cachedModels(root);
    expect(model?.place).toBeNull();
    // Nothing of it is gone on with.
    hub.fault = () => null;
    hub.requests.length = 0;
    await get("a/b");
    expect(asked("model.safetensors")).toEqual([0]);
  });

  test("with fewer bytes than it lists, of no announced length", async () => {
    hub.publish("a/b", FOLDER);
    faulty("model.safetensors", body(WEIGHTS.subarray(0, 70_000)));
    const { dir } = await get("a/b");
    expect(asked("model.safetensors")).toEqual([0, 70_000]);
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  });

  test("with other bytes of a file that git holds", async () => {
    hub.publish("a/b", FOLDER);
    faulty("config.json", body(CONFIG.replace("Llama", "Mamba")));
    expect(await failure("a/b")).toMatch(
      new RegExp(`config.json: what came has another SHA-1 .*${gitOid(Buffer.from(CONFIG))}`),
    );
  });

  test.each(["../../x", "/etc/passwd", "a/../../x", "x\0y", "./config.json", "a//b", ""])(
    "with %j in its listing",
    async (path) => {
      hub.publish("a/b", { ...FOLDER, [path]: "x" });
      expect(await failure("a/b")).toMatch(/which is outside of the repository; check that HF_ENDPOINT is a hub/);
      expect(existsSync(join(root, "models"))).toBe(false);
    },
  );

  const listing = (fault: Fault): void => {
    hub.publish("a/b", FOLDER);
    hub.fault = ({ what }) => (what === "listing" ? fault : null);
  };
  const json = (value: unknown): Fault => body(JSON.stringify(value), "application/json");
  const entry = { type: "file", path: "config.json", size: 1, oid: "a".repeat(40) };

  test.each([
    ["HTML", body("<html>sign in</html>", "text/html; charset=utf-8"), /answers with text\/html, expected JSON/],
    ["JSON of another form", json({ files: [] }), /answers in another form than a hub does/],
    ["nothing", json(null), /answers in another form/],
    ["an entry that is none", json(["config.json"]), /lists files without a path, a size or a hash/],
    ["a size that is none", json([{ ...entry, size: -1 }]), /lists files without/],
    ["a size that is no number", json([{ ...entry, size: "1" }]), /lists files without/],
    ["no hash", json([{ ...entry, oid: undefined }]), /lists "config.json" without a hash/],
    ["a hash that is none", json([{ ...entry, lfs: { oid: "x", size: 1 } }]), /lists files without/],
  ])("with %s for its listing", async (_, fault, message) => {
    listing(fault);
    expect(await failure("a/b")).toMatch(message);
  });

  test("with more than any disk holds: nothing is fetched", async () => {
    listing(json([entry, { ...entry, path: "model.safetensors", size: 9e14 }]));
    expect(await failure("a/b")).toMatch(/900 TB are needed and .* are free; free space, or set WINNOW_CACHE/);
    expect(asked("config.json")).toEqual([]);
  });

  test("with a listing that goes on elsewhere", async () => {
    listing((response) => {
      response.setHeader("link", `<${hub.storageUrl}/next>; rel="next"`).end("[]");
    });
    expect(await failure("a/b", { token: "hf_secret" })).toMatch(`continues its listing at ${hub.storageUrl}`);
    expect(hub.requests.filter(({ what }) => what === "storage")).toEqual([]);
  });

  test("with a listing that never ends", async () => {
    listing((response) => {
      response.setHeader("link", `<${hub.url}/api/models/a/b/tree/x?cursor=1>; rel="next"`).end("[]");
    });
    expect(await failure("a/b")).toMatch(/lists files on more than 1000 pages/);
  });

  test("with a commit that is none", async () => {
    hub.publish("a/b", FOLDER);
    hub.fault = ({ what }) => (what === "commit" ? json({ sha: "../x" }) : null);
    expect(await failure("a/b")).toMatch(/names no commit/);
  });
});

describe("a server that refuses", () => {
  test("what it does not have", async () => {
    expect(await failure("a/b")).toMatch(/^a\/b: the hub answered 404, no such model or file; check the name at http/);
  });

  test.each([401, 403])("with %i: HF_TOKEN may help", async (code) => {
    hub.publish("a/b", FOLDER);
    hub.fault = () => status(code, { "x-error-code": "GatedRepo" });
    expect(await failure("a/b")).toMatch(
      /private or gated; check the name, or set HF_TOKEN to a token.*accept the model's terms/,
    );
    expect(await failure("a/b", { token: "hf_secret" })).toMatch(/the token of HF_TOKEN may not read it/);
    expect(await failure("a/b", { token: "hf_secret" })).not.toMatch(/secret/);
    expect(hub.requests).toHaveLength(3);
  });

  test.each([500, 502, 503, 504, 429, 408])("with %i: again, and not for ever", async (code) => {
    hub.publish("a/b", FOLDER);
    let left = 2;
    hub.fault = ({ what }) => (what === "listing" && left-- > 0 ? status(code) : null);
    await get("a/b");
    expect(notes).toHaveLength(2);
    hub.fault = ({ what }) => (what === "listing" ? status(code) : null);
    expect(await failure("a/b")).toMatch(`the hub answered ${code}, 3 times in a row`);
  });

  test("for a while: Retry-After is obeyed", async () => {
    hub.publish("a/b", FOLDER);
    let refusedAt = 0;
    let againAt = 0;
    hub.fault = ({ what }) => {
      if (what !== "listing") return null;
      if (refusedAt !== 0) {
        againAt = performance.now();
        return null;
      }
      refusedAt = performance.now();
      return status(429, { "retry-after": "1" });
    };
    await get("a/b", { patience: { ...QUICK, longestWaitMs: 2000 } });
    expect(againAt - refusedAt).toBeGreaterThanOrEqual(990);
  });

  test.each(["3600", new Date(Date.now() + 3600e3).toUTCString()])("until %s: nobody waits that long", async (text) => {
    hub.publish("a/b", FOLDER);
    hub.fault = () => status(429, { "retry-after": text });
    expect(await failure("a/b")).toMatch(
      /answered 429, and asks to be left alone for 3[56]\d\d s; try again then, or set HF_TOKEN/,
    );
    expect(hub.requests).toHaveLength(1);
  });

  test("with an answer that no hub gives", async () => {
    hub.fault = () => status(418);
    expect(await failure("a/b")).toMatch(/answered 418, which no hub does; check HF_ENDPOINT/);
  });
});

describe("a server that is slow", () => {
  test("is waited for as long as something comes", async () => {
    hub.publish("a/b", FOLDER);
    faulty("model.safetensors", drip(10, 180));
    const { dir } = await get("a/b", { patience: { ...QUICK, stallMs: 1500 } });
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(asked("model.safetensors")).toEqual([0]);
    expect(notes).toEqual([]);
  });

  test("is asked again when it falls silent amid a file", async () => {
    hub.publish("a/b", FOLDER);
    faulty("model.safetensors", stallAt(70_000));
    const { dir } = await get("a/b", { patience: { ...QUICK, stallMs: 300 } });
    expect(readFileSync(join(dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(asked("model.safetensors")).toEqual([0, 70_000]);
    expect(notes).toEqual([expect.stringMatching(/nothing came for 0.3 s; attempt 2 of 3/)]);
  });

  test.each(["commit", "listing", "file", "storage"] as const)(
    "is given up when it never answers: %s",
    async (what) => {
      hub.publish("a/b", FOLDER);
      hub.fault = (request) => (request.what === what ? silence : null);
      expect(await failure("a/b", { patience: { ...QUICK, stallMs: 80 } })).toMatch(
        /nothing came for 0.08 s, 3 times in a row/,
      );
    },
  );

  test("is not there", async () => {
    await hub[Symbol.asyncDispose]();
    expect(await failure("a/b")).toMatch(/^a\/b: nothing answers at the hub's address, 3 times in a row/);
  });
});

describe("the token", () => {
  test("is sent to the hub with every request, and to nobody else", async () => {
    hub.token = "hf_secret";
    hub.publish("a/b", FOLDER);
    expect(await failure("a/b")).toMatch(/answered 401/);
    expect(await failure("a/b", { token: "hf_other" })).not.toMatch(/hf_other/);
    hub.requests.length = 0;
    faulty("model.safetensors", cutAt(120_000));
    await get("a/b", { token: "hf_secret" });
    const sent = (isStorage: boolean): (string | undefined)[] =>
      hub.requests.filter(({ what }) => (what === "storage") === isStorage).map(({ authorization }) => authorization);
    expect(new Set(sent(false))).toEqual(new Set(["Bearer hf_secret"]));
    expect(sent(true)).toEqual([undefined, undefined]);
    expect(notes.join("\n")).not.toMatch(/secret/);
  });

  test("need not look like one of Hugging Face's", async () => {
    hub.token = "mirror-token";
    hub.publish("a/b", FOLDER);
    await get("a/b", { token: "mirror-token" });
  });
});

test("two pulls of one model at once: one of them waits", async () => {
  hub.publish("a/b", FOLDER);
  faulty("model.safetensors", drip(5, 100));
  const [first, second] = await Promise.all([get("a/b"), get("a/b")]);
  expect([first.upToDate, second.upToDate].sort()).toEqual([false, true]);
  expect(asked("model.safetensors")).toEqual([0]);
  expect(notes).toEqual(["another process is pulling a/b; waiting for it"]);
  expect(readFileSync(join(first.dir, "model.safetensors")).equals(WEIGHTS)).toBe(true);
});

test("two models of one repository at once do not wait for each other", async () => {
  hub.publish("a/b", { "m-Q4_0.gguf": bytes(1000, 1), "m-Q8_0.gguf": bytes(1000, 2) });
  await Promise.all([get("a/b:Q4_0"), get("a/b:Q8_0")]);
  expect(notes).toEqual([]);
  expect((await cachedModels(root)).map(({ name }) => name.file)).toEqual(["m-Q4_0.gguf", "m-Q8_0.gguf"]);
});

test("whatever happens, what is there in the end is the file or nothing, and no call goes on for ever", async () => {
  const content = bytes(5000, 5);
  const patience: Patience = { stallMs: 40, attempts: 3, backoffMs: 1, longestWaitMs: 5 };
  const at = fc.integer({ min: 0, max: content.length });
  const fault = fc.oneof(
    at.map((n) => cutAt(n)),
    fc.tuple(at, at).map(([from, n]) => cutAt(n, from)),
    at.map((n) => stallAt(n)),
    at.map((n) => body(content.subarray(0, n))),
    fc.tuple(at, fc.integer({ min: 1, max: 9 })).map(([n, seed]) => body(bytes(n, seed))),
    fc.constantFrom(ignoreRange, silence, status(500), status(503), status(404), status(416), status(206), status(204)),
    fc.constant(null),
  );
  let whole = 0;
  let failed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { maxLength: 8 }), async (faults) => {
      rmSync(root, { recursive: true, force: true });
      hub.publish("a/b", { "m.gguf": content });
      faulty("m.gguf", ...faults);
      // Each call uses up a fault or gets the file.
      for (let call = 0; call < 10; call++) {
        const error: unknown = await get("a/b", { patience }).then(
          () => null,
          (cause: unknown) => cause,
        );
        const [model] = await cachedModels(root);
        if (error === null) {
          whole++;
          expect(readFileSync(model?.place ?? "").equals(content)).toBe(true);
          return;
        }
        failed++;
        expect(error).toMatchObject({ code: "file", message: expect.stringMatching(/^[^\n]+$/) as string });
        expect(model?.place ?? null).toBeNull();
      }
      expect.fail("the file never came");
    }),
    { seed: 4, numRuns: 80 },
  );
  expect(whole).toBe(80);
  expect(failed).toBeGreaterThan(15);
});

/** A whole answer of some length and type. */
function sized(length: number, type = "application/octet-stream"): Fault {
  return (response) => {
    response.writeHead(200, { "content-length": length, "content-type": type }).end(bytes(length));
  };
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
