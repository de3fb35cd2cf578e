import { z } from "@hono/zod-openapi";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { RunningServer } from "../server";
import { demoServer } from "../testing/demo-server";

const answerSchema = z.looseObject({
  choices: z.array(z.looseObject({ message: z.looseObject({ content: z.string() }) })),
  usage: z.looseObject({ prompt_tokens_details: z.looseObject({ cached_tokens: z.int() }) }),
  winnow: z.looseObject({
    speculation: z.strictObject({ steps: z.int(), drafted: z.int(), accepted: z.int() }).nullable(),
  }),
});
type Answer = z.infer<typeof answerSchema>;

const TEXT = "Mira keeps the red key in the barn. Tom is 31 years old. The code of the blue lamp is 4711.";
const REQUEST = { role: "user", content: `${TEXT}\n\nRepeat the text.` };
const textOf = ({ choices }: Answer): string => choices[0]?.message.content ?? "";

describe("a server whose requests ask for guesses", () => {
  let server: RunningServer & AsyncDisposable;
  beforeAll(async () => {
    server = await demoServer();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const post = (winnow: object, messages: readonly object[]): Promise<Response> =>
    fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "demo", messages, max_tokens: 32, winnow }),
    });

  const ask = async (winnow: object, messages: readonly object[] = [REQUEST]): Promise<Answer> => {
    const response = await post(winnow, messages);
    expect(response.status).toBe(200);
    return answerSchema.parse(await response.json());
  };

  test("answers them as without, and counts what was guessed well", async () => {
    const usual = await ask({});
    expect(usual.winnow.speculation).toBeNull();
    const guessed = await ask({ speculate: 4 });
    expect(textOf(guessed)).toBe(textOf(usual));
    expect(guessed.winnow.speculation?.accepted).toBeGreaterThan(3);
  });

  test("goes on with a conversation whether or not it guesses", async () => {
    const winnow = { session: "copy" };
    const first = await ask({ ...winnow, speculate: 3 });
    const more = [REQUEST, { role: "assistant", content: textOf(first) }, { role: "user", content: "How old is Tom?" }];
    const next = await ask(winnow, more);
    expect(next.usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(0);
    expect(first.winnow.speculation).not.toBeNull();
    expect(next.winnow.speculation).toBeNull();
  });

  test.each([-1, 8, 1.5, true, "4", null])("refuses %j tokens at a time", async (speculate) => {
    const response = await post({ speculate }, [REQUEST]);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: "winnow.speculate" } });
  });
});
