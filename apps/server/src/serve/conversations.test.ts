import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";

import type { RunningServer } from "../server";
import { QUESTION, demoServer, demoWithTemplate } from "../testing/demo-server";

interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

const answerSchema = z.looseObject({
  choices: z.array(z.looseObject({ message: z.looseObject({ content: z.string() }) })),
  usage: z.looseObject({ prompt_tokens: z.int(), prompt_tokens_details: z.looseObject({ cached_tokens: z.int() }) }),
});
const slotsSchema = z.looseObject({ cache: z.looseObject({ bytes: z.int() }) });

/** A request of a session, to the end of its answer. */
async function ask(
  url: string,
  session: string,
  messages: readonly Message[],
  change: object = {},
): Promise<{ readonly text: string; readonly promptTokens: number; readonly cachedTokens: number }> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "demo", messages, max_tokens: 2, winnow: { session, policy: "full" }, ...change }),
  });
  const body: unknown = await response.json();
  expect(response.status, JSON.stringify(body)).toBe(200);
  const { choices, usage } = answerSchema.parse(body);
  return {
    text: choices[0]?.message.content ?? "",
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details.cached_tokens,
  };
}

const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });

async function bytesOf(url: string): Promise<number> {
  return slotsSchema.parse(await (await fetch(`${url}/slots`)).json()).cache.bytes;
}

describe("a session", () => {
  let server: RunningServer & AsyncDisposable;
  beforeAll(async () => {
    server = await demoServer();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("goes on when as many are kept as can be, each in its turn", async () => {
    const names = Array.from({ length: 64 }, (_, i) => `one of many ${i}`);
    const said = new Map<string, readonly Message[]>();
    for (const name of names) {
      const { text } = await ask(server.url, name, [user("Hi")]);
      said.set(name, [user("Hi"), assistant(text)]);
    }
    for (const name of names) {
      const { cachedTokens } = await ask(server.url, name, [...(said.get(name) ?? []), user("And?")]);
      expect(cachedTokens, name).toBeGreaterThan(0);
    }
    await ask(server.url, "one more", [user("Hi")]);
    const first = await ask(server.url, "one of many 0", [user("Hi")]);
    expect(first.cachedTokens).toBe(0);
  });

  test("keeps the first of several answers, and nothing of the others", async () => {
    const several = { n: 4, temperature: 1, seed: 1 };
    const first = await ask(server.url, "several", [user(QUESTION)], several);
    const bytes = await bytesOf(server.url);
    const messages = [user(QUESTION), assistant(first.text), user("And?")];
    expect((await ask(server.url, "several", messages, several)).cachedTokens).toBeGreaterThan(0);
    for (let i = 0; i < 4; i++) await ask(server.url, "several", [user(QUESTION)], several);
    expect(await bytesOf(server.url)).toBe(bytes);
  });

  test("goes on after a message that was refused", async () => {
    const { text } = await ask(server.url, "patient", [user("Hi")]);
    const said = [user("Hi"), assistant(text)];
    const body = {
      model: "demo",
      messages: [...said, user("word ".repeat(2000))],
      winnow: { session: "patient", policy: "full" },
    };
    const refused = await fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    expect(refused.status).toBe(400);
    expect((await ask(server.url, "patient", [...said, user("And?")])).cachedTokens).toBeGreaterThan(0);
  });

  test("begins anew behind a stop string: what the cache holds was not told", async () => {
    const whole = await ask(server.url, "stopped", [user(QUESTION)], { max_tokens: 12 });
    const stop = whole.text.slice(3, 5);
    expect(stop).toHaveLength(2);
    const first = await ask(server.url, "stopped", [user(QUESTION)], { max_tokens: 12, stop });
    expect(first.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
    const messages = [user(QUESTION), assistant(first.text), user("And?")];
    const [withSession, without] = [
      await ask(server.url, "stopped", messages),
      await ask(server.url, "stopped", messages, { winnow: { policy: "full" } }),
    ];
    expect(withSession).toEqual(without);
  });
});

/** As Llama 2's and Gemma's: users and assistants take turns. */
const STRICT =
  "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/** As Qwen3's: of earlier answers the thinking is left out. */
const THINKING =
  "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' }}{% if m['role'] == 'assistant' and not loop.last %}{{ '(…)' }}{% else %}{{ m['content'] }}{% endif %}{{ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

describe("a session behind a template", () => {
  test("that refuses what would follow is not kept, and the server lives", async () => {
    await using model = await demoWithTemplate(STRICT);
    await using server = await demoServer({ dir: model.dir });
    const messages = [user("Hi"), assistant("Ho")];
    const first = await ask(server.url, "strict", messages);
    expect(await bytesOf(server.url)).toBe(0);
    expect(await ask(server.url, "strict", messages)).toEqual(first);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });

  test("that writes earlier answers in another way begins anew", async () => {
    await using model = await demoWithTemplate(THINKING);
    await using server = await demoServer({ dir: model.dir });
    const { text } = await ask(server.url, "thinking", [user("Hi")]);
    const next = [user("Hi"), assistant(text), user("And?")];
    expect(await ask(server.url, "thinking", next)).toMatchObject({ cachedTokens: 0 });
    expect(await ask(server.url, "other", next)).toMatchObject({ cachedTokens: 0 });
  });
});
