import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";

import { afterEach, describe, expect, test } from "vitest";

import { loadModel } from "../model";
import { readModelConfig } from "./config";
import { fetchedFiles } from "./fetched-files";
import { openGguf } from "./gguf-file";
import { openUrl } from "./open-url";
import { failureOf } from "./testing/failure";
import { gguf, text } from "./testing/write-gguf";

const DEMO = fileURLToPath(new URL("../../../../models/demo", import.meta.url));

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let close = (): Promise<unknown> => Promise.resolve();
afterEach(() => close());

/** The address of a server that answers so. */
async function serve(answer: Answer): Promise<string> {
  const server = createServer(answer);
  close = () => new Promise((resolve) => server.close(resolve));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return `http://127.0.0.1:${address.port}`;
}

/** Files by URL; a range is answered as HTTP has it, unless the server knows none. */
function answering(files: (name: string) => Promise<Uint8Array>, ranges: boolean): Answer {
  return (request, response) => {
    files(request.url ?? "").then(
      (bytes) => {
        const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
        if (range === null || !ranges) return response.end(bytes);
        const [from, to] = [Number(range[1]), Number(range[2]) + 1];
        response.setHeader("content-range", `bytes ${from < bytes.length ? `${from}-${to - 1}` : "*"}/${bytes.length}`);
        response.writeHead(from < bytes.length ? 206 : 416);
        return response.end(bytes.subarray(from, to));
      },
      () => response.writeHead(404).end(),
    );
  };
}

const demo = (url: string): Promise<Uint8Array> => readFile(`${DEMO}${url.replace("/demo", "")}`);
const constant =
  (status: number, headers: Record<string, string>, body = ""): Answer =>
  (_, response) =>
    response.writeHead(status, headers).end(body);

test.each([true, false])("a GGUF file behind a URL gives its metadata and tensors; ranges: %s", async (ranges) => {
  const data = Uint8Array.from({ length: 64 }, (_, i) => i);
  const tensor = { name: "output_norm.weight", type: "F32", shape: [16], data } as const;
  const bytes = gguf({ "general.architecture": text("llama") }, [tensor]);
  const url = await serve(answering(() => Promise.resolve(bytes), ranges));
  await using file = await openGguf(`${url}/x.gguf`, openUrl);
  expect(file.metadata.get("general.architecture")).toBe("llama");
  const found = new Uint8Array(64);
  await file.readInto(found, "output_norm.weight");
  expect(found).toEqual(data);
});

describe("fetched files", () => {
  test.each([true, false])("give the model that their directory gives; ranges: %s", async (ranges) => {
    const asked: string[] = [];
    const answer = answering(demo, ranges);
    const url = await serve((request, response) => {
      asked.push(`${request.url ?? ""} ${request.headers.range === undefined ? "whole" : "range"}`);
      answer(request, response);
    });
    using model = await loadModel(fetchedFiles(`${url}/demo/`));
    using local = await loadModel(DEMO);
    const answers = await Promise.all(
      [model, local].map(async (each) => {
        using session = each.createSession({ policy: "full" });
        const [ids] = [each.tokenizer.encode("Mira keeps the red key in")];
        return (await session.generate([{ ids, probe: null }], { maxTokens: 4 }).report()).tokens;
      }),
    );
    expect(answers[0]).toEqual(answers[1]);
    expect(model.dir).toBe(`${url}/demo`);
    // With ranges each tensor comes by itself; without, the file comes once.
    const weights = asked.filter((line) => line.startsWith("/demo/model.safetensors "));
    expect(weights.every((line) => line.endsWith("range"))).toBe(true);
    expect(weights.length > 1).toBe(ranges);
  });

  test("a file that is not there", async () => {
    const url = await serve(constant(404, {}));
    expect((await failureOf(() => loadModel(fetchedFiles(url)))).message).toBe(`${url}/config.json: no such file`);
    expect(await fetchedFiles(url).open("model.safetensors")).toBeNull();
  });

  test("a page that is answered for everything is no file", async () => {
    const url = await serve(constant(200, { "content-type": "text/html; charset=utf-8" }, "<!doctype html>"));
    expect(await fetchedFiles(url).readText("chat_template.jinja")).toBeNull();
  });

  test("a server that refuses", async () => {
    const url = await serve(constant(403, {}));
    expect((await failureOf(() => readModelConfig(fetchedFiles(url)))).message).toBe(
      `${url}/config.json: the server answered 403 Forbidden, expected the file`,
    );
  });

  test("no server", async () => {
    const url = await serve(constant(200, {}));
    await close();
    close = () => Promise.resolve();
    const error = await failureOf(() => readModelConfig(fetchedFiles(url)));
    expect(error.code).toBe("file");
    expect(error.message).toMatch(/config\.json: cannot be fetched \(.+\); check the address/);
  });

  test("a range without a size", async () => {
    const url = await serve(constant(206, {}, "x"));
    expect((await failureOf(() => openUrl(`${url}/x`))).message).toMatch(/expected a Content-Range header/);
  });

  test("an empty file", async () => {
    const url = await serve(answering(() => Promise.resolve(new Uint8Array()), true));
    expect((await openUrl(`${url}/x`))?.size).toBe(0);
  });

  test("a file that has changed since it was opened", async () => {
    let bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
    const url = await serve(answering(() => Promise.resolve(bytes), true));
    const file = await openUrl(`${url}/x`);
    const read = async (from: number, count: number): Promise<number[]> => {
      const target = new Uint8Array(count);
      await file?.read(target, from);
      return [...target];
    };
    expect(await read(40, 3)).toEqual([40, 41, 42]);
    bytes = bytes.slice(0, 42);
    expect((await failureOf(() => read(40, 3))).message).toMatch(/x: ends at byte 42, expected 1 bytes more/);
    expect((await failureOf(() => read(50, 3))).message).toMatch(/answered 416 for a range of bytes, expected 206/);
  });
});
