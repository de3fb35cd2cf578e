import { z } from "@hono/zod-openapi";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { follow, hasEnded, resultLines } from "../batches/testing/follow";
import { inputOf } from "../batches/testing/input";
import type { RunningServer } from "../server";
import { QUESTION, demoServer } from "../testing/demo-server";

/** What heads may lose so soon that nearly every sweep is put off. */
const FASTGEN = { policy: "fastgen", recovery: 0.6, interval: 4 } as const;

const answerSchema = z.looseObject({
  choices: z.array(z.looseObject({ message: z.looseObject({ content: z.string() }) })),
  usage: z.looseObject({ prompt_tokens_details: z.looseObject({ cached_tokens: z.int() }) }),
  winnow: z.looseObject({
    kv: z.looseObject({ drift: z.strictObject({ delayed: z.int(), upgraded: z.int() }).nullable() }),
  }),
});
type Answer = z.infer<typeof answerSchema>;

const body = (winnow: object | undefined, change: object = {}): object => ({
  model: "demo",
  messages: [{ role: "user", content: QUESTION }],
  max_tokens: 24,
  ...(winnow === undefined ? {} : { winnow }),
  ...change,
});

function post(url: string, request: object, path = "/v1/chat/completions"): Promise<Response> {
  return fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
}

async function ask(url: string, winnow?: object, change: object = {}): Promise<Answer> {
  const response = await post(url, body(winnow, change));
  const found: unknown = await response.json();
  expect(response.status, JSON.stringify(found)).toBe(200);
  return answerSchema.parse(found);
}

const driftOf = ({ winnow }: Answer): Answer["winnow"]["kv"]["drift"] => winnow.kv.drift;

describe("a server that ignores drift", () => {
  let server: RunningServer & AsyncDisposable;
  beforeAll(async () => {
    server = await demoServer();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("counts it for a request that asks for upgrades", async () => {
    expect(driftOf(await ask(server.url, FASTGEN))).toBeNull();
    expect(driftOf(await ask(server.url, { ...FASTGEN, drift: "upgrade" }))?.delayed).toBeGreaterThan(0);
  });

  test("counts it in a stream's last chunk, and in a text that goes on", async () => {
    const winnow = { ...FASTGEN, drift: "upgrade" };
    const streamed = await (await post(server.url, body(winnow, { stream: true }))).text();
    expect(streamed).toMatch(/"drift":\{"delayed":[1-9]\d*,"upgraded":\d+\}/);
    const request = { model: "demo", prompt: QUESTION, max_tokens: 24, winnow };
    const completed = await (await post(server.url, request, "/v1/completions")).text();
    expect(completed).toMatch(/"drift":\{"delayed":[1-9]\d*,"upgraded":\d+\}/);
  });

  test("runs a batch's line as if it had been sent by itself", async () => {
    const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
    const winnow = { ...FASTGEN, drift: "upgrade" };
    const lines = [body(winnow), body(FASTGEN), body({ drift: "upgrade" })];
    const { id } = await client.files.create({ file: inputOf(lines), purpose: "batch" });
    const created = await client.batches.create({
      input_file_id: id,
      endpoint: "/v1/chat/completions",
      completion_window: "24h",
    });
    const batch = await follow(client, created.id, hasEnded);
    const answered = await resultLines(client, batch.output_file_id);
    const [drifting, usual] = answered.map(({ response }) => driftOf(answerSchema.parse(response?.body)));
    expect(drifting).toEqual(driftOf(await ask(server.url, winnow)));
    expect(usual).toBeNull();
    const [refused] = await resultLines(client, batch.error_file_id);
    expect(refused?.response).toMatchObject({ status_code: 400, body: { error: { param: "winnow.drift" } } });
  });

  test.each([
    [{ drift: "upgrade" }, 'a drift of upgrade beside the policy "adaptive", which keeps what is generated'],
    [{ drift: "upgrade", policy: "sink(4)" }, "no candidates that a threshold chooses from"],
    [{ drift: "off" }, 'expected one of "ignore"|"upgrade"'],
  ])("refuses %j by the name of its field", async (winnow, message) => {
    for (const stream of [false, true]) {
      const refused = await post(server.url, body(winnow, { stream }));
      expect(refused.status).toBe(400);
      expect(await refused.json()).toMatchObject({
        error: {
          type: "invalid_request_error",
          param: "winnow.drift",
          message: expect.stringContaining(message) as string,
        },
      });
    }
  });

  test("reads a beginning anew where drift is treated otherwise, and once where it is not", async () => {
    const system = { role: "system", content: "Tom keeps the red key in the barn. ".repeat(40) };
    const messages = [system, { role: "user", content: QUESTION }];
    const cached = async (winnow: object): Promise<number> =>
      (await ask(server.url, winnow, { messages })).usage.prompt_tokens_details.cached_tokens;
    expect(await cached(FASTGEN)).toBe(0);
    expect(await cached({ ...FASTGEN, drift: "upgrade" })).toBe(0);
    const whole = await cached(FASTGEN);
    expect(whole).toBeGreaterThan(256);
    expect(await cached({ ...FASTGEN, drift: "upgrade" })).toBe(whole);
    expect(await cached({ ...FASTGEN, drift: "ignore" })).toBe(whole);
  });

  test("begins a conversation anew when drift is treated otherwise", async () => {
    const winnow = { ...FASTGEN, session: "talk", drift: "upgrade" };
    const first = await ask(server.url, winnow);
    const messages = [
      { role: "user", content: QUESTION },
      { role: "assistant", content: first.choices[0]?.message.content },
      { role: "user", content: "Where does Mira keep the red key?" },
    ];
    const goesOn = await ask(server.url, winnow, { messages });
    expect(goesOn.usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(0);
    expect(driftOf(goesOn)?.delayed).toBeGreaterThanOrEqual(driftOf(first)?.delayed ?? Infinity);
    const anew = await ask(server.url, { ...winnow, drift: "ignore" }, { messages });
    expect(anew.usage.prompt_tokens_details.cached_tokens).toBe(0);
    expect(driftOf(anew)).toBeNull();
  });
});

describe("a server that upgrades", () => {
  let server: RunningServer & AsyncDisposable;
  beforeAll(async () => {
    server = await demoServer({ session: { ...FASTGEN, drift: "upgrade" } });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("does so unless a request says otherwise", async () => {
    const usual = await ask(server.url);
    expect(driftOf(usual)?.delayed).toBeGreaterThan(0);
    expect(driftOf(await ask(server.url, {}))).toEqual(driftOf(usual));
    expect(driftOf(await ask(server.url, { recovery: 0.6 }))).toEqual(driftOf(usual));
    expect(driftOf(await ask(server.url, { drift: "ignore" }))).toBeNull();
  });

  test("does not for a policy of the request's own, which may have nothing to upgrade to", async () => {
    expect(driftOf(await ask(server.url, { policy: "adaptive" }))).toBeNull();
    expect(driftOf(await ask(server.url, { policy: "fastgen", recovery: 0.6 }))).toBeNull();
    const asked = await ask(server.url, { policy: "fastgen", recovery: 0.6, drift: "upgrade" });
    expect(driftOf(asked)?.delayed).toBeGreaterThan(0);
  });
});

test("a server whose policy has nothing to upgrade to does not begin", async () => {
  const asked = demoServer({ session: { drift: "upgrade" } });
  await expect(asked).rejects.toThrow('a drift of upgrade beside the policy "adaptive"');
});
