import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { ApiKeys } from "./http/api-keys";
import { QUESTION, demoServer } from "./testing/demo-server";

const KEY = "sk-of-the-tests";

let server: Awaited<ReturnType<typeof demoServer>>;
let client: OpenAI;

beforeAll(async () => {
  server = await demoServer({ keys: new ApiKeys([KEY]) });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: KEY, maxRetries: 0 });
});

afterAll(async () => {
  await server.close(0);
});

const messages = [{ role: "user", content: QUESTION }] as const;

interface Slots {
  readonly cache: { readonly bytes: number; readonly reservedBytes: number };
  readonly slots: readonly unknown[];
}

async function slots(): Promise<Slots> {
  const response = await fetch(`${server.url}/slots`, { headers: { authorization: `Bearer ${KEY}` } });
  return (await response.json()) as Slots;
}

describe("the openai client", () => {
  test("lists models", async () => {
    const found = [];
    for await (const model of client.models.list()) found.push(model.id);
    expect(found).toEqual(["demo"]);
    expect(await client.models.retrieve("demo")).toMatchObject({ id: "demo", object: "model" });
    await expect(client.models.retrieve("gpt-4")).rejects.toMatchObject({ status: 404 });
  });

  test("reads an answer whole and streamed, and they are the same", async () => {
    const request = { model: "demo", messages: [...messages], max_completion_tokens: 24, seed: 3, temperature: 0.8 };
    const whole = await client.chat.completions.create(request);
    const stream = await client.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage: OpenAI.CompletionUsage | null = null;
    let finish: string | null = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    const [choice] = whole.choices;
    expect(text).toBe(choice?.message.content);
    expect(text).not.toBe("");
    expect(finish).toBe(choice?.finish_reason);
    expect(usage).toEqual(whole.usage);
    expect(whole.usage?.total_tokens).toBe((usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0));
    expect(whole).toMatchObject({ winnow: { policy: "adaptive", kv: { bytes: expect.any(Number) as number } } });
  });

  test("answers several times, each as it is alone", async () => {
    const request = { model: "demo", messages: [...messages], max_completion_tokens: 12, seed: 9, temperature: 1.2 };
    const three = await client.chat.completions.create({ ...request, n: 3 });
    const one = await client.chat.completions.create(request);
    const texts = three.choices.map(({ message }) => message.content);
    expect(new Set(texts).size).toBeGreaterThan(1);
    expect(texts[0]).toBe(one.choices[0]?.message.content);
    expect(three.usage?.prompt_tokens).toBe(one.usage?.prompt_tokens);
  });

  test("ends before a stop string", async () => {
    const whole = await client.chat.completions.create({
      model: "demo",
      messages: [...messages],
      max_completion_tokens: 40,
    });
    const text = whole.choices[0]?.message.content ?? "";
    const stop = text.slice(4, 8);
    const stopped = await client.chat.completions.create({
      model: "demo",
      messages: [...messages],
      max_completion_tokens: 40,
      stop: [stop],
    });
    expect(stopped.choices[0]).toMatchObject({
      message: { content: text.slice(0, text.indexOf(stop)) },
      finish_reason: "stop",
    });
  });

  test("is told the likeliest tokens", async () => {
    const { choices } = await client.chat.completions.create({
      model: "demo",
      messages: [...messages],
      max_completion_tokens: 5,
      logprobs: true,
      top_logprobs: 3,
    });
    const [choice] = choices;
    const content = choice?.logprobs?.content ?? [];
    expect(content.map(({ token }) => token).join("")).toBe(choice?.message.content);
    for (const { token, logprob, top_logprobs } of content) {
      expect(top_logprobs).toHaveLength(3);
      expect(top_logprobs[0]?.token).toBe(token);
      expect(top_logprobs[0]?.logprob).toBeCloseTo(logprob, 4);
      expect(top_logprobs.reduce((mass, one) => mass + Math.exp(one.logprob), 0)).toBeLessThanOrEqual(1 + 1e-6);
    }
  });

  test("completes texts and token ids, several at once", async () => {
    const whole = await client.completions.create({
      model: "demo",
      prompt: ["Tom is 31 years", "Mira keeps the red"],
      max_tokens: 6,
      n: 2,
      seed: 1,
      temperature: 0.9,
    });
    expect(whole.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    const alone = await client.completions.create({
      model: "demo",
      prompt: "Mira keeps the red",
      max_tokens: 6,
      seed: 1,
      temperature: 0.9,
    });
    expect(whole.choices[2]?.text).toBe(alone.choices[0]?.text);
    const stream = await client.completions.create({
      model: "demo",
      prompt: "Mira keeps the red",
      max_tokens: 6,
      seed: 1,
      temperature: 0.9,
      stream: true,
    });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.text ?? "";
    expect(text).toBe(alone.choices[0]?.text);
  });

  test("goes on with a conversation that the server keeps", async () => {
    const ask = (list: OpenAI.ChatCompletionMessageParam[], session: string) => {
      // The client sends what it does not know as it is.
      const request = { model: "demo", messages: list, max_completion_tokens: 40, winnow: { session, policy: "full" } };
      return client.chat.completions.create(request);
    };
    const first = await ask([...messages], "talk");
    const list: OpenAI.ChatCompletionMessageParam[] = [
      ...messages,
      { role: "assistant", content: first.choices[0]?.message.content ?? "" },
      { role: "user", content: "Where does Mira keep the red key?" },
    ];
    const second = await ask(list, "talk");
    const cached = second.usage?.prompt_tokens_details?.cached_tokens ?? 0;
    expect(cached).toBeGreaterThan(first.usage?.prompt_tokens ?? Infinity);
    expect(cached).toBeLessThan(second.usage?.prompt_tokens ?? 0);
    const anew = await ask([{ role: "user", content: "Where is Leo?" }], "talk");
    expect(anew.usage?.prompt_tokens_details?.cached_tokens).toBe(0);
  });

  test("that goes away frees its cache", async () => {
    const before = (await slots()).cache.reservedBytes;
    const stream = await client.chat.completions.create({
      model: "demo",
      messages: [{ role: "user", content: "Tell a long story about Tom. ".repeat(10) }],
      stream: true,
    });
    let seen = 0;
    for await (const _ of stream) if (++seen === 4) break;
    await expect.poll(async () => (await slots()).slots, { timeout: 60_000 }).toEqual([]);
    expect((await slots()).cache.reservedBytes).toBeLessThanOrEqual(before);
  });

  test("that goes away before a whole answer frees its cache", async () => {
    const abort = new AbortController();
    const asked = client.chat.completions.create(
      { model: "demo", messages: [{ role: "user", content: "Tell a long story about Tom. ".repeat(10) }] },
      { signal: abort.signal },
    );
    await expect.poll(async () => (await slots()).slots.length, { timeout: 60_000 }).toBe(1);
    abort.abort();
    await expect(asked).rejects.toThrow(OpenAI.APIUserAbortError);
    await expect.poll(async () => (await slots()).slots, { timeout: 60_000 }).toEqual([]);
  });

  test("sends batches, and cancels one", async () => {
    const line = (i: number, max_tokens: number): string =>
      JSON.stringify({
        custom_id: `line-${i}`,
        method: "POST",
        url: "/v1/chat/completions",
        body: { model: "demo", messages, max_tokens, seed: i, temperature: 0 },
      });
    const send = async (lines: readonly string[]): Promise<OpenAI.Batch> => {
      const file = await client.files.create({
        file: await OpenAI.toFile(Buffer.from(lines.join("\n")), "lines.jsonl"),
        purpose: "batch",
      });
      return client.batches.create({
        input_file_id: file.id,
        endpoint: "/v1/chat/completions",
        completion_window: "24h",
      });
    };
    const { id } = await send([line(1, 6), line(2, 6), line(3, 6)]);
    await expect.poll(async () => (await client.batches.retrieve(id)).status, { timeout: 60_000 }).toBe("completed");
    const { output_file_id = "" } = await client.batches.retrieve(id);
    const output = (await (await client.files.content(output_file_id)).text()).trim().split("\n");
    const alone = await client.chat.completions.create({
      model: "demo",
      messages: [...messages],
      max_completion_tokens: 6,
    });
    expect(output).toHaveLength(3);
    for (const [i, text] of output.entries()) {
      expect(JSON.parse(text)).toMatchObject({
        custom_id: `line-${i + 1}`,
        response: { status_code: 200, body: { choices: [{ message: alone.choices[0]?.message }] } },
      });
    }
    const long = await send(Array.from({ length: 200 }, (_, i) => line(i, 300)));
    expect((await client.batches.cancel(long.id)).status).toMatch(/^cancel/);
    await expect
      .poll(async () => (await client.batches.retrieve(long.id)).status, { timeout: 60_000 })
      .toBe("cancelled");
  });

  test("is told what is wrong in its own errors", async () => {
    const refused = async (change: object): Promise<unknown> => {
      try {
        await client.chat.completions.create({ model: "demo", messages: [...messages], ...change });
      } catch (error) {
        return error;
      }
      return null;
    };
    const tool = { type: "function", function: { name: "f" } };
    for (const [change, expected] of [
      [{ model: "gpt-4" }, { status: 404, code: "model_not_found", param: "model" }],
      [{ temperature: 9 }, { status: 400, param: "temperature" }],
      [{ messages: [] }, { status: 400, param: "messages" }],
      [{ tools: [tool] }, { status: 400, param: "tools" }],
      [{ response_format: { type: "json_object" } }, { status: 400, param: "response_format.type" }],
      [
        { messages: [{ role: "user", content: "word ".repeat(3000) }] },
        { status: 400, code: "context_length_exceeded" },
      ],
      [{ winnow: { policy: "recent(" } }, { status: 400, code: "invalid_policy" }],
      [{ winnow: { policy: "adaptive", plan: "none.json" } }, { status: 400, param: "winnow.plan" }],
      [{ winnow: { policy: "full", recovery: 0.9 } }, { status: 400, param: "winnow.recovery" }],
      [{ winnow: { policy: "full", target: 0.5 } }, { status: 400, param: "winnow.target" }],
      [{ frequency: 1 }, { status: 400, param: "frequency" }],
    ] as const) {
      expect(await refused(change), JSON.stringify(change).slice(0, 100)).toMatchObject(expected);
    }
    await expect(client.responses.create({ model: "demo", input: "Hello" })).rejects.toMatchObject({ status: 404 });
    await expect(client.embeddings.create({ model: "demo", input: "Hello" })).rejects.toMatchObject({ status: 404 });
    const stranger = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "sk-other", maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toThrow(OpenAI.AuthenticationError);
  });
});

describe("the AI SDK's provider", () => {
  const demo = () => createOpenAICompatible({ name: "winnow", baseURL: `${server.url}/v1`, apiKey: KEY })("demo");

  test("reads an answer whole and streamed, and they are the same", async () => {
    const options = { model: demo(), prompt: QUESTION, maxOutputTokens: 16, temperature: 0, maxRetries: 0 };
    const whole = await generateText(options);
    const streamed = streamText(options);
    let text = "";
    for await (const piece of streamed.textStream) text += piece;
    expect(text).toBe(whole.text);
    expect(whole.usage.outputTokens).toBeGreaterThan(0);
    expect(await streamed.finishReason).toBe(whole.finishReason);
  });

  test("is told what is wrong", async () => {
    const asked = generateText({ model: demo(), prompt: "word ".repeat(3000), maxRetries: 0 });
    await expect(asked).rejects.toMatchObject({
      statusCode: 400,
      message: expect.stringContaining("shorten it") as string,
    });
  });
});
