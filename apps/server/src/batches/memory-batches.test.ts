import OpenAI from "openai";
import { afterEach, describe, expect, it } from "vitest";

import { ApiError } from "../http/api-error";

import { openBatches, type BatchOptions } from "./index";
import { serveBatches, type Api } from "./testing/api";
import { follow, hasEnded, resultLines } from "./testing/follow";
import { inputOf, numbered } from "./testing/input";
import { slowEcho } from "./testing/slow-echo";

afterEach(async () => {
  await cleanup();
});
let cleanup = (): Promise<void> => Promise.resolve();

async function start(options: Partial<BatchOptions> = {}): Promise<Api> {
  const batches = await openBatches({ model: "demo", run: slowEcho, retryMs: 1, ...options });
  const api = await serveBatches(batches);
  cleanup = async () => {
    await api[Symbol.asyncDispose]();
    await batches[Symbol.asyncDispose]();
  };
  return api;
}

async function submit(client: OpenAI, file: File): Promise<OpenAI.Batch> {
  const { id } = await client.files.create({ file, purpose: "batch" });
  return client.batches.create({
    input_file_id: id,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
    metadata: { nightly: "yes" },
  });
}

describe("batches in process", () => {
  it("answers every line in the input's order, whatever the order they finish in", async () => {
    const client = (await start()).client("a");
    const created = await submit(client, inputOf(Array.from({ length: 40 }, (_, n) => ({ n, ms: (40 - n) % 7 }))));
    expect(created).toMatchObject({ object: "batch", status: "validating", metadata: { nightly: "yes" } });
    const batch = await follow(client, created.id, hasEnded);
    expect(batch).toMatchObject({ status: "completed", request_counts: { total: 40, completed: 40, failed: 0 } });
    expect(batch.error_file_id).toBeNull();
    expect(batch.completed_at).toBeGreaterThanOrEqual(batch.created_at);
    const lines = await resultLines(client, batch.output_file_id);
    expect(lines.map((line) => [line.custom_id, line.response?.status_code, line.response?.body])).toEqual(
      Array.from({ length: 40 }, (_, n) => [`line-${n}`, 200, { echo: n }]),
    );
    expect(new Set(lines.map(({ id }) => id)).size).toBe(40);
    const file = await client.files.retrieve(batch.output_file_id ?? "");
    expect(file).toMatchObject({ purpose: "batch_output", object: "file" });
  });

  it("tells how far it is while it runs", async () => {
    const client = (await start({ concurrency: 1 })).client("a");
    const { id } = await submit(client, numbered(30, { ms: 10 }));
    const { request_counts: half } = await follow(client, id, (batch) => (batch.request_counts?.completed ?? 0) >= 5);
    expect(half?.total).toBe(30);
    expect(half?.completed).toBeLessThan(30);
    await follow(client, id, hasEnded);
  });

  it("puts what failed for good into the error file, and tries passing troubles again", async () => {
    const tries = new Map<number, number>();
    const client = (
      await start({
        run: async (url, body, signal) => {
          const { body: answer } = await slowEcho(url, body, signal);
          const n = Number(JSON.stringify(answer).replace(/\D/g, ""));
          tries.set(n, (tries.get(n) ?? 0) + 1);
          if (n === 1) return { status: 400, body: { error: { message: "bad" } } };
          if (n === 2 && tries.get(n) !== 7) return { status: 429, body: { error: { message: "busy" } } };
          if (n === 3) throw new Error("out of order");
          if (n === 4) throw new ApiError(404, "not_found_error", "no such model");
          return { status: 200, body: answer };
        },
      })
    ).client("a");
    const batch = await follow(client, (await submit(client, numbered(6))).id, hasEnded);
    expect(batch).toMatchObject({ status: "completed", request_counts: { total: 6, completed: 3, failed: 3 } });
    expect([...tries].sort()).toEqual([
      [0, 1],
      [1, 1],
      [2, 7],
      [3, 5],
      [4, 1],
      [5, 1],
    ]);
    const good = await resultLines(client, batch.output_file_id);
    expect(good.map(({ custom_id: id }) => id)).toEqual(["line-0", "line-2", "line-5"]);
    const bad = await resultLines(client, batch.error_file_id);
    expect(bad.map((line) => [line.custom_id, line.response?.status_code, line.response?.body])).toEqual([
      ["line-1", 400, { error: { message: "bad" } }],
      ["line-3", 500, { error: { message: "out of order", type: "server_error", param: null, code: null } }],
      ["line-4", 404, { error: { message: "no such model", type: "not_found_error", param: null, code: null } }],
    ]);
  });

  it("fails a batch whose input is at fault, and names the lines", async () => {
    const client = (await start({ maxLines: 8 })).client("a");
    const line = (change: object): string =>
      JSON.stringify({ custom_id: "x", method: "POST", url: "/v1/chat/completions", body: {}, ...change });
    const text = [
      line({}),
      "{not json",
      line({ custom_id: "x" }),
      "",
      line({ custom_id: undefined }),
      line({ custom_id: "y", url: "/v1/embeddings" }),
      line({ custom_id: "z", body: { stream: true } }),
      line({ custom_id: "w", method: "GET" }),
    ].join("\n");
    const batch = await follow(client, (await submit(client, new File([text], "bad.jsonl"))).id, hasEnded);
    expect(batch.status).toBe("failed");
    expect(batch.errors?.data?.map(({ code, line, param }) => [line, code, param])).toEqual([
      [2, "invalid_json_line", null],
      [3, "duplicate_custom_id", "custom_id"],
      [5, "missing_required_parameter", "custom_id"],
      [6, "mismatched_url", "url"],
      [7, "invalid_request", "body.stream"],
      [8, "invalid_request", "method"],
    ]);
    const failing = async (file: File): Promise<string | undefined> =>
      (await follow(client, (await submit(client, file)).id, hasEnded)).errors?.data?.[0]?.code;
    expect(await failing(new File([" \n"], "empty.jsonl"))).toBe("empty_file");
    expect(await failing(numbered(9))).toBe("too_many_requests");
    expect(await failing(new File([new Uint8Array([0xff, 0xfe, 0x0a])], "latin.jsonl"))).toBe("invalid_encoding");
  });

  it("keeps the answers that are there when a batch is cancelled, and stops the rest", async () => {
    let running = 0;
    const client = (
      await start({
        concurrency: 2,
        run: async (url, body, signal) => {
          running++;
          try {
            return await slowEcho(url, body, signal);
          } finally {
            running--;
          }
        },
      })
    ).client("a");
    const { id } = await submit(
      client,
      inputOf([{ n: 0 }, { n: 1 }, { n: 2, ms: 60_000 }, { n: 3, ms: 60_000 }, { n: 4 }]),
    );
    await follow(client, id, (batch) => batch.request_counts?.completed === 2);
    await client.batches.cancel(id);
    const batch = await follow(client, id, hasEnded);
    expect(batch).toMatchObject({ status: "cancelled", request_counts: { total: 5, completed: 2, failed: 0 } });
    expect(batch.cancelled_at).toBeGreaterThanOrEqual(batch.cancelling_at ?? Infinity);
    expect(await resultLines(client, batch.output_file_id)).toHaveLength(2);
    await expect.poll(() => running).toBe(0);
    await expect(client.batches.cancel(id)).resolves.toMatchObject({ status: "cancelled" });
  });

  it("shows nobody what is another's", async () => {
    const api = await start();
    const [mine, other] = [api.client("a"), api.client("b")];
    const { id, input_file_id: input } = await submit(mine, numbered(2));
    const { output_file_id: output } = await follow(mine, id, hasEnded);
    for (const attempt of [
      () => other.batches.retrieve(id),
      () => other.batches.cancel(id),
      () => other.files.retrieve(input),
      () => other.files.content(output ?? ""),
      () => other.files.delete(input),
      () => other.batches.create({ input_file_id: input, endpoint: "/v1/completions", completion_window: "24h" }),
    ]) {
      await expect(attempt()).rejects.toThrow(OpenAI.NotFoundError);
    }
    expect((await other.files.list()).data).toEqual([]);
    expect((await other.batches.list()).data).toEqual([]);
    expect((await mine.files.list()).data).toHaveLength(2);
  });

  it("lists in pages, and deletes files that no batch needs", async () => {
    const client = (await start()).client("a");
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push((await submit(client, numbered(1))).id);
    const listed: string[] = [];
    for await (const batch of client.batches.list({ limit: 2 })) listed.push(batch.id);
    expect(listed).toEqual([...ids].reverse());

    const { id, input_file_id: input } = await submit(client, numbered(1, { ms: 60_000 }));
    await expect(client.files.delete(input)).rejects.toThrow(OpenAI.ConflictError);
    await client.batches.cancel(id);
    await follow(client, id, hasEnded);
    expect(await client.files.delete(input)).toMatchObject({ id: input, deleted: true });
    await expect(client.files.retrieve(input)).rejects.toThrow(OpenAI.NotFoundError);
    await expect(client.files.delete(input)).rejects.toThrow(OpenAI.NotFoundError);
  });

  it("refuses requests that are at fault, and says why", async () => {
    const api = await start({ maxFileBytes: 2000 });
    const client = api.client("a");
    const file = numbered(1);
    await expect(client.files.create({ file, purpose: "fine-tune" })).rejects.toThrow(/purpose: only "batch"/);
    await expect(client.files.create({ file: numbered(50), purpose: "batch" })).rejects.toMatchObject({ status: 413 });
    await expect(
      client.files.create({ file: new File([new Uint8Array(200_000)], "big"), purpose: "batch" }),
    ).rejects.toMatchObject({ status: 413 });
    const plain = await fetch(`${api.url}/v1/files`, { method: "POST", body: "hello" });
    expect([plain.status, await plain.text()]).toEqual([415, expect.stringContaining("multipart/form-data")]);
    const { id } = await client.files.create({ file, purpose: "batch" });
    const wanted = { input_file_id: id, endpoint: "/v1/chat/completions", completion_window: "24h" } as const;
    await expect(client.batches.create({ ...wanted, endpoint: "/v1/embeddings" })).rejects.toThrow(/endpoint/);
    await expect(client.batches.create({ ...wanted, input_file_id: "file-0" })).rejects.toThrow(OpenAI.NotFoundError);
    await expect(client.batches.create({ ...wanted, metadata: { a: "x".repeat(513) } })).rejects.toThrow(/metadata/);
    await expect(client.batches.list({ after: "batch_0" })).rejects.toThrow(/after/);
  });

  it("keeps files and results within their bytes", async () => {
    const client = (
      await start({
        maxMemoryBytes: 10_000,
        run: () => Promise.resolve({ status: 200, body: { text: "x".repeat(3000) } }),
      })
    ).client("a");
    const batch = await follow(client, (await submit(client, numbered(5))).id, hasEnded);
    expect(batch.request_counts).toEqual({ total: 5, completed: 3, failed: 2 });
    const lost = await resultLines(client, batch.error_file_id);
    expect(lost.map(({ error }) => error?.code)).toEqual(["storage_full", "storage_full"]);
    await expect(client.files.create({ file: numbered(30), purpose: "batch" })).rejects.toMatchObject({
      status: 413,
      code: "storage_full",
    });
    await client.files.delete(batch.output_file_id ?? "");
    await client.files.create({ file: numbered(30), purpose: "batch" });
  });

  it("lets lines that run finish when it ends, up to a time", async () => {
    const outcomes: string[] = [];
    const batches = await openBatches({
      model: "demo",
      concurrency: 2,
      graceMs: 200,
      run: async (url, body, signal) => {
        try {
          const answer = await slowEcho(url, body, signal);
          outcomes.push("answered");
          return answer;
        } catch (error) {
          outcomes.push("stopped");
          throw error;
        }
      },
    });
    const { id } = await batches.createFile("", "f", inputOf([{ n: 0, ms: 50 }, { n: 1, ms: 60_000 }, { n: 2 }]));
    const { id: batch } = await batches.createBatch("", {
      inputFile: id,
      endpoint: "/v1/chat/completions",
      metadata: null,
    });
    await expect.poll(async () => (await batches.batch("", batch)).status).toBe("in_progress");
    await batches[Symbol.asyncDispose]();
    expect(outcomes).toEqual(["answered", "stopped"]);
  });
});
