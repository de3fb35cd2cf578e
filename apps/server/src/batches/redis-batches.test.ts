import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import { Redis } from "ioredis";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { startRedis, type RunningRedis } from "../../../../tools/debian-services/redis.ts";
import { findService, freePort } from "../../../../tools/debian-services/service.ts";

import { DEFAULT_SETTINGS } from "./batch-settings";
import { Batches } from "./batches";
import { openBatches, type BatchOptions } from "./index";
import { connectRedis } from "./redis-connection";
import { RedisQueue } from "./redis-queue";
import { RedisStore } from "./redis-store";
import { serveBatches, type Api } from "./testing/api";
import { buildWorker } from "./testing/build-worker";
import { follow, hasEnded, resultLines } from "./testing/follow";
import { inputOf, numbered } from "./testing/input";
import { slowEcho } from "./testing/slow-echo";

const service = findService("redis-server");

/** As in earnest, but in less time: a line whose process is lost is back after about two seconds. */
const FAST = { retryMs: 10, lockMs: 1000, watchMs: 300, sweepMs: 500, graceMs: 500, concurrency: 4 };

describe.skipIf(service === null)("batches in Redis", () => {
  let redis: RunningRedis;
  let worker: Awaited<ReturnType<typeof buildWorker>>;
  const open: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    if (service === null) return;
    [redis, worker] = await Promise.all([startRedis(service), buildWorker()]);
  });
  afterEach(async () => {
    for (const close of open.reverse()) await close();
    open.length = 0;
    const admin = new Redis(redis.url);
    await admin.flushall();
    admin.disconnect();
  });
  afterAll(async () => {
    await worker[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  async function openHere(options: Partial<BatchOptions> = {}): Promise<Batches> {
    const batches = await openBatches({ redisUrl: redis.url, model: "demo", run: slowEcho, ...FAST, ...options });
    open.push(async () => {
      await batches[Symbol.asyncDispose]();
    });
    return batches;
  }

  async function serveHere(batches: Batches): Promise<Api> {
    const api = await serveBatches(batches);
    open.push(async () => {
      await api[Symbol.asyncDispose]();
    });
    return api;
  }

  /** A process that works on the batches, and how many lines it has told of. */
  async function forkWorker(settings: object = {}): Promise<{ readonly child: ChildProcess; readonly ran: unknown[] }> {
    const child = fork(worker.program, [redis.url, JSON.stringify({ ...FAST, ...settings })], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    open.push(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    });
    const ran: unknown[] = [];
    child.on("message", (message) => ran.push(message));
    await once(child, "message");
    ran.length = 0;
    return { child, ran };
  }

  async function submit(client: OpenAI, file: File): Promise<string> {
    const { id } = await client.files.create({ file, purpose: "batch" });
    const endpoint = "/v1/chat/completions";
    return (await client.batches.create({ input_file_id: id, endpoint, completion_window: "24h" })).id;
  }

  /** Keeps files and batches for the processes forked, and runs nothing. */
  async function keepsOnly(): Promise<Batches> {
    const connection = await connectRedis(redis.url, () => undefined);
    const store = new RedisStore(connection, "winnow:demo", DEFAULT_SETTINGS);
    const queue = new RedisQueue(connection, "winnow:demo", DEFAULT_SETTINGS, () => undefined);
    const nothing = (): Promise<void> => Promise.resolve();
    open.push(async () => {
      await queue[Symbol.asyncDispose]();
      connection[Symbol.dispose]();
    });
    return new Batches(DEFAULT_SETTINGS.maxFileBytes, store, queue, DEFAULT_SETTINGS, nothing, nothing);
  }

  async function submitTo(batches: Batches, file: File): Promise<string> {
    const owner = "Bearer a";
    const { id: inputFile } = await batches.createFile(owner, file.name, file);
    return (await batches.createBatch(owner, { inputFile, endpoint: "/v1/chat/completions", metadata: null })).id;
  }

  it("has every line exactly once, in order, though a process is killed amid the batch", async () => {
    const client = (await serveHere(await openHere())).client("a");
    const [first, second] = [await forkWorker(), await forkWorker()];
    const id = await submit(client, numbered(400, { ms: 20 }));
    await expect.poll(() => first.ran.length, { timeout: 60_000, interval: 5 }).toBeGreaterThan(40);
    first.child.kill("SIGKILL");
    await once(first.child, "exit");
    const early = await client.batches.retrieve(id);
    expect(early.request_counts?.completed).toBeLessThan(400);
    const batch = await follow(client, id, hasEnded);
    expect(batch).toMatchObject({ status: "completed", request_counts: { total: 400, completed: 400, failed: 0 } });
    const lines = await resultLines(client, batch.output_file_id);
    expect(lines.map((line) => [line.custom_id, line.response?.body])).toEqual(
      Array.from({ length: 400 }, (_, n) => [`line-${n}`, { echo: n }]),
    );
    expect(second.ran.length).toBeGreaterThan(40);
  });

  it("loses no line when the process that adds them is killed on the way", async () => {
    const lines = 2000;
    // The first lines run while the others are being added, by the only process that there is.
    const { child, ran } = await forkWorker();
    const id = await submitTo(await keepsOnly(), numbered(lines, { ms: 0 }));
    await expect.poll(() => ran.length, { timeout: 60_000, interval: 1 }).toBeGreaterThan(0);
    child.kill("SIGKILL");
    await once(child, "exit");
    const client = (await serveHere(await openHere({ concurrency: 16 }))).client("a");
    expect((await client.batches.retrieve(id)).request_counts?.completed).toBeLessThan(lines);
    const batch = await follow(client, id, hasEnded);
    expect(batch.request_counts).toEqual({ total: lines, completed: lines, failed: 0 });
  });

  it("answers from any process, and stops lines that run in another", async () => {
    const stopped: string[] = [];
    const here = await openHere({
      run: (url, body, signal) => {
        signal.addEventListener("abort", () => stopped.push("stopped"));
        return slowEcho(url, body, signal);
      },
    });
    const [one, two] = [await serveHere(here), await serveHere(await openHere())];
    const id = await submit(one.client("a"), numbered(100, { ms: 60_000 }));
    await follow(two.client("a"), id, ({ status }) => status === "in_progress");
    await expect(two.client("b").batches.retrieve(id)).rejects.toThrow(OpenAI.NotFoundError);
    await sleep(100);
    await two.client("a").batches.cancel(id);
    const batch = await follow(one.client("a"), id, hasEnded);
    expect(batch).toMatchObject({ status: "cancelled", request_counts: { total: 100, completed: 0, failed: 0 } });
    await expect.poll(() => stopped.length, { timeout: 60_000 }).toBeGreaterThan(0);
  });

  it("gives lines that run back when the process ends, and counts that as no try", async () => {
    let begun = 0;
    const ending = await openHere({
      run: async (_url, _body, signal) => {
        begun++;
        await sleep(60_000, undefined, { signal });
        return { status: 200, body: {} };
      },
    });
    const id = await submitTo(ending, numbered(20));
    await expect.poll(() => begun, { timeout: 60_000 }).toBe(4);
    await ending[Symbol.asyncDispose]();
    const client = (await serveHere(await openHere({ maxTries: 1, maxDeaths: 1 }))).client("a");
    const batch = await follow(client, id, hasEnded);
    expect(batch.request_counts).toEqual({ total: 20, completed: 20, failed: 0 });
  });

  it("tries passing troubles again, and leaves no key behind for ever", async () => {
    let busy = 0;
    const batches = await openHere({
      maxTries: 3,
      run: async (url, body, signal) => {
        const answer = await slowEcho(url, body, signal);
        if (answer.status === 429 && busy++ > 3) return { ...answer, status: 200 };
        return answer;
      },
    });
    const client = (await serveHere(batches)).client("a");
    const id = await submit(client, inputOf([{ n: 0, status: 429 }, { n: 1 }, { n: 2, status: 502 }]));
    const batch = await follow(client, id, hasEnded);
    expect(batch.request_counts).toEqual({ total: 3, completed: 2, failed: 1 });
    const [bad] = await resultLines(client, batch.error_file_id);
    expect([bad?.custom_id, bad?.response?.status_code]).toEqual(["line-2", 502]);

    const admin = new Redis(redis.url);
    const kept = await admin.keys("winnow:*");
    const forEver: string[] = [];
    for (const key of kept) if ((await admin.pttl(key)) < 0) forEver.push(key);
    admin.disconnect();
    // What BullMQ keeps of a queue does not grow with its jobs, but for its events, which are bounded.
    expect(
      forEver.filter((key) => !/^winnow:demo:batch-(steps|lines):(meta|events|id|stalled-check)$/.test(key)),
    ).toEqual([]);
    expect(kept.filter((key) => /^winnow:demo:(results|counts|unfinished)/.test(key))).toEqual([]);
  });

  it("shares its lines with no server of another model", async () => {
    const other = await openHere({ model: "other", run: () => Promise.reject(new Error("not mine")) });
    const id = await submitTo(await openHere({}), numbered(20));
    const client = (await serveHere(await openHere({}))).client("a");
    expect((await follow(client, id, hasEnded)).request_counts).toEqual({ total: 20, completed: 20, failed: 0 });
    await expect(other.batch("a", id)).rejects.toMatchObject({ status: 404 });
  });

  it("gives up a line that brings its process down again and again", async () => {
    // One at a time: lines that run beside it are lost with it.
    const { child } = await forkWorker({ concurrency: 1 });
    const id = await submitTo(await keepsOnly(), inputOf([{ n: 0 }, { n: 1, die: true }, { n: 2 }]));
    await once(child, "exit");
    const client = (await serveHere(await openHere({ maxDeaths: 1 }))).client("a");
    const batch = await follow(client, id, hasEnded);
    expect(batch.request_counts).toEqual({ total: 3, completed: 2, failed: 1 });
    const [lost] = await resultLines(client, batch.error_file_id);
    expect([lost?.custom_id, lost?.error?.code]).toEqual(["line-1", "worker_lost"]);
  });

  it("says in one line that Redis is out of reach, refuses meanwhile, and goes on when it is back", async () => {
    if (service === null) return;
    const port = await freePort();
    const url = `redis://:secret@127.0.0.1:${port}`;
    await expect(openBatches({ redisUrl: url, model: "demo", run: slowEcho })).rejects.toThrow(
      new RegExp(`^cannot reach Redis at redis://127\\.0\\.0\\.1:${port}: connect ECONNREFUSED`),
    );
    await expect(openBatches({ redisUrl: "localhost:6379", model: "demo", run: slowEcho })).rejects.toThrow(
      /expected redis:/,
    );

    const logged: string[] = [];
    let own = await startRedis(service, port);
    open.push(async () => {
      await own[Symbol.asyncDispose]();
    });
    const batches = await openHere({ redisUrl: own.url, log: (message) => logged.push(message) });
    const client = (await serveHere(batches)).client("a");
    await client.files.list();
    await own[Symbol.asyncDispose]();
    const started = Date.now();
    for (let i = 0; i < 3; i++) {
      await expect(client.files.list()).rejects.toMatchObject({ status: 503, code: "storage_unavailable" });
    }
    await expect(submit(client, numbered(1))).rejects.toMatchObject({ status: 503 });
    expect(Date.now() - started).toBeLessThan(3000);
    own = await startRedis(service, port);
    await expect.poll(() => client.files.list().then(({ data }) => data, String), { timeout: 60_000 }).toEqual([]);
    const batch = await follow(client, await submit(client, numbered(20)), hasEnded);
    expect(batch.request_counts?.completed).toBe(20);
    expect(logged.filter((message) => /out of reach|is back/.test(message))).toEqual([
      expect.stringMatching(/^Redis at .* is out of reach/),
      expect.stringMatching(/^Redis at .* is back/),
    ]);
  });
});
