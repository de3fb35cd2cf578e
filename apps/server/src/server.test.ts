import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { ApiKeys } from "./http/api-keys";
import { RateLimit } from "./http/rate-limit";
import { QUESTION, demoServer } from "./testing/demo-server";

const JSON_TYPE = { "content-type": "application/json" };

function ask(url: string, change: object = {}, init: RequestInit = {}): Promise<Response> {
  const messages = [{ role: "user", content: QUESTION }];
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: JSON_TYPE,
    body: JSON.stringify({ model: "demo", messages, max_tokens: 8, ...change }),
    ...init,
  });
}

/** Takes a while to read and to answer. */
const LONG = {
  messages: [{ role: "user", content: "Tom keeps the red key in the barn. ".repeat(60) }],
  max_tokens: 400,
};

interface SlotsNow {
  readonly slots: readonly { readonly state: string }[];
  readonly cache: { readonly bytes: number };
}

async function errorOf(response: Response): Promise<unknown> {
  return { status: response.status, ...((await response.json()) as object) };
}

describe("a server", () => {
  test("answers probes while a long prompt is read, and counts", async () => {
    await using server = await demoServer();
    const abort = new AbortController();
    const asked = ask(server.url, LONG, { signal: abort.signal }).catch(() => null);
    const states = new Set<string>();
    for (let i = 0; i < 400 && !states.has("writing"); i++) {
      expect((await fetch(`${server.url}/health`)).status).toBe(200);
      const { slots } = (await (await fetch(`${server.url}/slots`)).json()) as SlotsNow;
      for (const { state } of slots) states.add(state);
    }
    expect(states).toContain("reading");
    abort.abort();
    await asked;
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/winnow_requests_total\{route="\/health",status="200"\} \d+/);
    expect(metrics).toMatch(/winnow_kv_budget_bytes 67108864/);
  });

  test("refuses more than its queue holds, and says when to try again", async () => {
    await using server = await demoServer({ maxQueue: 1 });
    const abort = new AbortController();
    const first = ask(server.url, LONG, { signal: abort.signal }).catch(() => null);
    const second = ask(server.url, LONG, { signal: abort.signal }).catch(() => null);
    await expect
      .poll(async () => {
        const response = await ask(server.url, LONG, { signal: AbortSignal.timeout(300) }).catch(() => null);
        return response === null ? null : [response.status, Number(response.headers.get("retry-after")) >= 1];
      })
      .toEqual([429, true]);
    abort.abort();
    await Promise.all([first, second]);
  });

  test("keeps nothing of several prompts and answers that are given up, however far they are", async () => {
    await using server = await demoServer();
    const prompt = [5, 100, 30, 60].map((words) => "Tom keeps the red key. ".repeat(words));
    for (let round = 0; round < 12; round++) {
      const abort = new AbortController();
      const asked = fetch(`${server.url}/v1/completions`, {
        method: "POST",
        headers: JSON_TYPE,
        body: JSON.stringify({ model: "demo", prompt, n: 3, temperature: 1, max_tokens: 60 }),
        signal: abort.signal,
      }).catch(() => null);
      setTimeout(() => {
        abort.abort();
      }, 40 * round);
      await asked;
    }
    const left = async (): Promise<unknown> => {
      const { slots, cache } = (await (await fetch(`${server.url}/slots`)).json()) as SlotsNow;
      return { slots: slots.length, bytes: cache.bytes };
    };
    await expect.poll(left, { timeout: 60_000 }).toEqual({ slots: 0, bytes: 0 });
  });

  test("gives a request no longer than its deadline", async () => {
    await using server = await demoServer({ deadlineMs: 300 });
    const whole = await errorOf(await ask(server.url, { ...LONG }));
    expect(whole).toMatchObject({ status: 504, error: { code: "deadline_exceeded" } });
    const streamed = await (await ask(server.url, { ...LONG, stream: true })).text();
    expect(streamed).toMatch(/"code":"deadline_exceeded"\}\}\n\n$/);
    expect((await (await fetch(`${server.url}/slots`)).json()) as object).toMatchObject({ slots: [] });
  });

  test("finishes what is under way, and takes nothing new", async () => {
    const server = await demoServer();
    const stream = await ask(server.url, { stream: true, max_tokens: 60, stop: null });
    const closing = server.close(20_000);
    await expect(fetch(`${server.url}/health`)).rejects.toThrow();
    expect(await stream.text()).toMatch(/data: \[DONE\]\n\n$/);
    await closing;
  });

  test("cuts off what is not done by its deadline", async () => {
    const server = await demoServer();
    const stream = await ask(server.url, { ...LONG, stream: true });
    await server.close(50);
    expect(await stream.text()).toMatch(/"code":"shutting_down"\}\}\n\n$/);
  });

  test("lets in who has a key, plain or hashed, and nobody else", async () => {
    const folder = await mkdtemp(join(tmpdir(), "winnow-keys-"));
    const file = join(folder, "keys.txt");
    // The hash of "sk-second".
    const hash = "sha256:b464ce30b204dc60e335136ee46a01efe74914f4e4a6264f48448448642c9a0c";
    await writeFile(file, `# people\nsk-first\n\n${hash}\n`);
    const keys = await ApiKeys.read(file);
    await rm(folder, { recursive: true });
    await using server = await demoServer({ keys });
    const status = async (path: string, authorization?: string): Promise<number> =>
      (await fetch(`${server.url}${path}`, authorization === undefined ? {} : { headers: { authorization } })).status;
    expect(await status("/v1/models", "Bearer sk-first")).toBe(200);
    expect(await status("/v1/models", "Bearer sk-second")).toBe(200);
    expect(keys.nameOf("sk-first")).not.toBe(keys.nameOf("sk-second"));
    for (const wrong of [undefined, "Bearer sk-firs", "Bearer ", "Basic sk-first", `Bearer ${hash}`]) {
      for (const path of ["/v1/models", "/slots", "/v1/files"]) expect(await status(path, wrong)).toBe(401);
    }
    expect(await status("/")).not.toBe(401);
    for (const path of ["/health", "/ready", "/metrics", "/openapi.json"]) expect(await status(path)).toBe(200);
  });

  test("lets a key ask so often a minute", async () => {
    await using server = await demoServer({ requestsPerMinute: 3 });
    const statuses = [];
    const work = { method: "POST", headers: JSON_TYPE, body: '{"content":"Hi"}' };
    for (let i = 0; i < 5; i++) statuses.push((await fetch(`${server.url}/tokenize`, work)).status);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    // Who only looks, as the dashboard does, takes nothing from it.
    expect((await fetch(`${server.url}/slots`)).status).toBe(200);
  });

  test("lets no other origin's pages in unless it was told to", async () => {
    const origin = "https://example.org";
    const allowed = async (url: string): Promise<string | null> =>
      (await fetch(`${url}/v1/models`, { headers: { origin } })).headers.get("access-control-allow-origin");
    await using closed = await demoServer();
    expect(await allowed(closed.url)).toBeNull();
    await using open = await demoServer({ corsOrigins: [origin] });
    expect(await allowed(open.url)).toBe(origin);
    const post = async (url: string, from: string): Promise<number> =>
      (await fetch(`${url}/v1/files`, { method: "POST", headers: { origin: from }, body: new FormData() })).status;
    expect(await post(closed.url, origin)).toBe(403);
    expect(await post(closed.url, closed.url)).toBe(400);
    expect(await post(open.url, origin)).toBe(400);
  });

  test("refuses what is no request, with a reason", async () => {
    await using server = await demoServer({ maxBodyBytes: 10_000 });
    const post = (body: string, type = "application/json"): Promise<Response> =>
      ask(server.url, {}, { body, headers: { "content-type": type } });
    expect(await errorOf(await post("{"))).toMatchObject({ status: 400 });
    expect(await errorOf(await post("[]"))).toMatchObject({ status: 400 });
    expect(await errorOf(await post("null"))).toMatchObject({ status: 400 });
    expect(await errorOf(await post("{}", "text/plain"))).toMatchObject({ status: 415 });
    expect(await errorOf(await post(`"${"x".repeat(20_000)}"`))).toMatchObject({ status: 413 });
    for (const type of ["application/json;", "application/vnd.v2+json", "", "json"]) {
      expect(await errorOf(await post("{}", type)), type).toMatchObject({ status: 415 });
    }
    expect(await errorOf(await post("[".repeat(9_000)))).toMatchObject({ status: 400 });
    expect(await errorOf(await ask(server.url, { top_logprobs: 2 }))).toMatchObject({
      status: 400,
      error: { param: "top_logprobs" },
    });
    for (const prompt of [[5, 99_999], new Array<number>(3_000).fill(5)]) {
      const body = JSON.stringify({ model: "demo", prompt, stream: true });
      const refused = await fetch(`${server.url}/v1/completions`, { method: "POST", headers: JSON_TYPE, body });
      expect(await errorOf(refused)).toMatchObject({ status: 400, error: { param: "prompt" } });
    }
    expect(await errorOf(await fetch(`${server.url}/v1/chat/completions`))).toMatchObject({ status: 404 });
    const { hostname, port } = new URL(server.url);
    const raw = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write(`GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ${"y".repeat(40_000)}\r\n\r\n`);
      });
      socket.on("data", (data: Buffer) => {
        resolve(data.toString().split("\r\n")[0] ?? "");
        socket.destroy();
      });
    });
    expect(raw).toMatch(/ 431 /);
  });

  test("refuses a plan that is nested more deeply than it could be written", async () => {
    await using server = await demoServer();
    const plan = `{"format":"winnow-head-plan","x":${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
    const body = `{"model":"demo","messages":[{"role":"user","content":"Hi"}],"winnow":{"plan":${plan}}}`;
    expect(await errorOf(await ask(server.url, {}, { body }))).toMatchObject({
      status: 400,
      error: { param: "winnow.plan" },
    });
  });

  test("answers on loopback to this machine's own names, where nobody needs a key", async () => {
    const statusAs = (url: string, host: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        get(`${url}/v1/models`, { headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).on("error", reject);
      });
    await using open = await demoServer({ corsOrigins: ["https://chat.example"] });
    for (const host of ["127.0.0.1:8080", "localhost", "[::1]:80", "192.168.0.7", "chat.example", "a.localhost:1"]) {
      expect(await statusAs(open.url, host), host).toBe(200);
    }
    for (const host of ["evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example"]) {
      expect(await statusAs(open.url, host), host).toBe(403);
    }
  });

  test("begins with a budget that has room for short prompts only", async () => {
    await using server = await demoServer({ kvBudgetBytes: 1200 * 2 ** 10 });
    const messages = [{ role: "user", content: "Hi" }];
    expect((await ask(server.url, { messages, max_tokens: 2 })).status).toBe(200);
    expect(await errorOf(await ask(server.url, LONG))).toMatchObject({ error: { code: "kv_budget_exceeded" } });
  });

  test("tells who sends too much, and cuts off nothing else of theirs", async () => {
    await using server = await demoServer({ maxBodyBytes: 10_000 });
    async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
      for (let i = 0; i < 40; i++) yield await Promise.resolve(new Uint8Array(2 ** 17).fill(120));
    }
    for (const body of [chunks(), "x".repeat(5 * 2 ** 20), chunks()]) {
      // Of the connections that it has, a client takes any for its next request.
      const init: RequestInit & { duplex: "half" } = { body, duplex: "half" };
      const refused = await ask(server.url, {}, init);
      expect(refused.headers.get("connection")).toBe("close");
      expect(await errorOf(refused)).toMatchObject({ status: 413, error: { code: "request_too_large" } });
      expect((await ask(server.url, { ...LONG, max_tokens: 30 })).status).toBe(200);
    }
  });

  test("shows its API to people", async () => {
    await using server = await demoServer();
    const page = await fetch(`${server.url}/docs`);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.headers.get("content-security-policy")).toContain("default-src 'self'");
    expect(await page.text()).toContain('src="/docs/swagger-ui-bundle.js"');
    expect(await (await fetch(`${server.url}/docs/open.js`)).text()).toContain('url: "/openapi.json"');
  });

  test("says where it cannot listen", async () => {
    await using server = await demoServer();
    const port = Number(new URL(server.url).port);
    await expect(demoServer({ port })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port}: something else listens there`,
    );
    await expect(demoServer({ session: { policy: "nonsense" } })).rejects.toMatchObject({ code: "policy" });
  });
});

test("a bucket is refilled over a minute", () => {
  let now = 0;
  const limit = new RateLimit(2, () => now);
  expect([limit.take("a"), limit.take("a"), limit.take("a"), limit.take("b")]).toEqual([0, 0, 30, 0]);
  now += 29_000;
  expect(limit.take("a")).toBe(1);
  now += 1000;
  expect(limit.take("a")).toBe(0);
});
