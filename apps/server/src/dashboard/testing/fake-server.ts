import { setTimeout as sleep } from "node:timers/promises";

import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";

import { dashboardRoutes } from "../dashboard";

const LAYERS = 6;
const KV_HEADS = 4;
const POLICIES = ["special | top(maxWeight, 10%) | recent(4)", "special | recent(4)", "full"];

/** What a test changes about the fake while it runs. */
export interface Behaviour {
  /** What every answer says, a piece at a time. */
  pieces: readonly string[];
  /** Between two pieces. */
  pauseMs: number;
  /** The second piece waits for it. */
  afterFirst: Promise<void>;
  /** Asked for as a bearer token; null for none. */
  key: string | null;
  /** Told in the middle of the stream, after the first piece. */
  streamError: string | null;
  /** Every chat completion is refused with 429. */
  busy: boolean;
}

/** A server that knows the API's shapes and computes nothing. */
export interface FakeServer extends AsyncDisposable {
  readonly url: string;
  readonly behaviour: Behaviour;
  /** The bodies of the chat completions asked for. */
  readonly asked: Asked[];
  /** How many streams their readers left. */
  aborted: number;
}

export interface Asked {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly winnow: { readonly policy?: string; readonly recovery?: number };
  readonly max_tokens: number;
  readonly temperature: number;
}

export async function fakeServer(dashboard: string): Promise<FakeServer> {
  const behaviour: Behaviour = {
    pieces: ["Hello", " there."],
    pauseMs: 5,
    afterFirst: Promise.resolve(),
    key: null,
    streamError: null,
    busy: false,
  };
  const asked: Asked[] = [];
  const app = new Hono();
  let looks = 0;
  let aborted = 0;

  app.route("/", dashboardRoutes(dashboard));
  app.use(async (context, next) => {
    const { key } = behaviour;
    if (key === null || context.req.header("authorization") === `Bearer ${key}`) {
      await next();
      return;
    }
    return context.json({ error: { message: "an API key is needed", type: "authentication_error" } }, 401);
  });
  app.get("/v1/models", (context) =>
    context.json({ object: "list", data: [{ id: "demo", object: "model", created: 0, owned_by: "winnow" }] }),
  );
  app.get("/slots", (context) => context.json(slots(looks++)));
  app.post("/v1/chat/completions", async (context) => {
    const question = await context.req.json<Asked>();
    asked.push(question);
    if (behaviour.busy) {
      context.header("retry-after", "7");
      return context.json({ error: { message: "the queue is full", type: "rate_limit_error" } }, 429);
    }
    const policy = question.winnow.policy ?? "adaptive";
    return streamSSE(context, async (stream) => {
      stream.onAbort(() => {
        aborted++;
      });
      const send = (data: unknown): Promise<void> => stream.writeSSE({ data: JSON.stringify(data) });
      const choice = (delta: object, reason: string | null = null): object => ({
        id: "chatcmpl-1",
        choices: [{ index: 0, delta, finish_reason: reason }],
      });
      await send(choice({ role: "assistant", content: "" }));
      for (const piece of behaviour.pieces) {
        await sleep(behaviour.pauseMs);
        if (stream.aborted) return;
        await send(choice({ content: piece }));
        if (behaviour.streamError !== null) {
          await send({ error: { message: behaviour.streamError, type: "server_error", param: null, code: null } });
          return;
        }
        await behaviour.afterFirst;
      }
      await send(choice({}, "stop"));
      const usage = { prompt_tokens: 400, completion_tokens: behaviour.pieces.length };
      await send({ choices: [], usage, winnow: report(policy) });
      await stream.writeSSE({ data: "[DONE]" });
    });
  });

  const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 });
  if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error(`no port: ${String(address)}`);
  return {
    url: `http://127.0.0.1:${address.port}/`,
    behaviour,
    asked,
    get aborted() {
      return aborted;
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
}

function share(layer: number, head: number): number {
  return [1, 0.62, 0.14, 0.33, 0.05, 0.81][(layer * 5 + head * 7) % LAYERS] ?? 1;
}

function policyOf(layer: number, head: number): string {
  const kept = share(layer, head);
  return POLICIES[kept === 1 ? 2 : kept < 0.1 ? 1 : 0] ?? "full";
}

function grid<T>(cell: (layer: number, head: number) => T): T[][] {
  return Array.from({ length: LAYERS }, (_, l) => Array.from({ length: KV_HEADS }, (_, h) => cell(l, h)));
}

function report(policy: string): object {
  const full = policy === "full";
  const tokens = 400;
  return {
    policy,
    recovery: grid(() => (full ? null : 0.934)),
    plan: grid((l, h) => (full ? "full" : policyOf(l, h))),
    kv: {
      bytes: full ? 4_915_200 : 2_310_144,
      fullBytes: 4_915_200,
      peakBytes: 4_915_200,
      slots: grid((l, h) => Math.round(tokens * (full ? 1 : share(l, h)))),
      tokens,
    },
    rows: { source: full ? "none" : "probe", note: null },
    timings: {
      queueMs: 3,
      promptMs: 84,
      profileMs: 9,
      tokenMs: { p50: 14, p99: 31 },
      tokensPerSecond: full ? 48.2 : 63.7,
    },
  };
}

/** Figures that move, so that the charts have something to draw. */
function slots(look: number): object {
  const wave = 1 + 0.4 * Math.sin(look / 2);
  const kv = { bytes: Math.round(2_300_000 * wave), fullBytes: Math.round(4_900_000 * wave), peakBytes: 4_900_000 };
  const heads = grid((l, h) => ({ policy: policyOf(l, h), kept: share(l, h) }));
  const slot = { promptTokens: 400, tokens: 37 + look, policy: "adaptive", recovery: 0.9, ageMs: 1200, kv, heads };
  return {
    model: "demo",
    backend: "cpu, 2 threads",
    layers: LAYERS,
    kvHeads: KV_HEADS,
    cache: {
      budgetBytes: 8_000_000,
      reservedBytes: 5_200_000,
      bytes: kv.bytes + 300_000,
      prefixes: { entries: 2, bytes: 300_000, hits: 18, misses: 5 },
    },
    queue: { waiting: 1, running: 1, parked: 1, max: 64 },
    tokensPerSecond: 55 + 20 * Math.sin(look / 3),
    slots: [
      { ...slot, id: "chatcmpl-7Hq2ab41", state: "writing" },
      { ...slot, id: "chatcmpl-7Hq2ab39", state: "parked", policy: "fastgen", ageMs: 9000 },
      { ...slot, id: "chatcmpl-7Hq2ab42", state: "waiting", policy: "full", tokens: 0, heads: [] },
    ],
  };
}
