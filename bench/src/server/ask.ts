import { setTimeout as sleep } from "node:timers/promises";

import { eventData } from "./event-data";
import type { Question } from "./question";
import { answerSchema, chunkSchema } from "./wire";

/** No request may take longer. */
const REQUEST_MS = 300_000;
const STREAMED = { stream: true, stream_options: { include_usage: true } };
const MOST_TRIES = 100;
const LONGEST_PAUSE_S = 60;

/** What became of a request. */
export type Reply =
  | Answer
  | { readonly kind: "refused"; readonly status: number; readonly retryAfterSeconds: number; readonly reason: string }
  /** No answer, or a part of one, and nobody asked for that. */
  | { readonly kind: "lost"; readonly reason: string }
  /** The client went away as it had planned. */
  | { readonly kind: "left"; readonly events: number };

export interface Answer {
  readonly kind: "answer";
  readonly text: string;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly tokens: number;
  /** Milliseconds to the first text; NaN where there is none, or the answer came whole. */
  readonly firstMs: number;
  /** Milliseconds between texts; empty where the answer came whole. */
  readonly betweenMs: readonly number[];
}

/** When a client goes away: after so many texts or milliseconds, whichever is first. */
export interface Leaving {
  readonly events: number;
  readonly ms: number;
}

export interface Asking {
  readonly stream: boolean;
  readonly leaving?: Leaving;
}

/** Ask once. Never rejects. */
export async function ask(url: string, { messages, settings }: Question, { stream, leaving }: Asking): Promise<Reply> {
  const left = new AbortController();
  const leave = (): void => {
    left.abort();
  };
  const timer = leaving === undefined ? undefined : setTimeout(leave, leaving.ms);
  let events = 0;
  try {
    const started = performance.now();
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...settings, messages, ...(stream ? STREAMED : {}) }),
      signal: AbortSignal.any([left.signal, AbortSignal.timeout(REQUEST_MS)]),
    });
    if (response.status !== 200) {
      const retryAfterSeconds = Number(response.headers.get("retry-after") ?? NaN);
      return { kind: "refused", status: response.status, retryAfterSeconds, reason: await response.text() };
    }
    if (!stream) return wholeAnswer(await response.json());
    if (response.body === null) return { kind: "lost", reason: "a stream without a body" };
    const reading = new StreamedAnswer(started);
    for await (const data of eventData(response.body)) {
      events += reading.take(data) ? 1 : 0;
      if (leaving !== undefined && events >= leaving.events) {
        leave();
        return { kind: "left", events };
      }
    }
    return reading.end();
  } catch (error) {
    if (left.signal.aborted) return { kind: "left", events };
    return { kind: "lost", reason: reasonOf(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** What was asked for in the end, and what it took. */
export interface Served {
  readonly reply: Reply;
  /** Times that the server was too busy. */
  readonly refusals: number;
  /** Milliseconds that were spent on them. */
  readonly waitedMs: number;
}

/** Ask until the server has room, as often as it says. @param goOn whether there is still a reason to. */
export async function askPatiently(
  url: string,
  question: Question,
  asking: Asking,
  goOn: () => boolean,
): Promise<Served> {
  const started = performance.now();
  for (let refusals = 0; ; refusals++) {
    const waitedMs = performance.now() - started;
    const reply = await ask(url, question, asking);
    if (reply.kind !== "refused" || reply.status !== 429) return { reply, refusals, waitedMs };
    if (!(reply.retryAfterSeconds >= 1)) {
      return { reply: { kind: "lost", reason: "429 without Retry-After" }, refusals: refusals + 1, waitedMs };
    }
    if (!goOn() || refusals === MOST_TRIES) return { reply, refusals: refusals + 1, waitedMs };
    await sleep(1000 * Math.min(reply.retryAfterSeconds, LONGEST_PAUSE_S));
  }
}

function wholeAnswer(body: unknown): Reply {
  const { choices, usage } = answerSchema.parse(body);
  return {
    kind: "answer",
    text: choices[0].message.content,
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details.cached_tokens,
    tokens: usage.completion_tokens,
    firstMs: NaN,
    betweenMs: [],
  };
}

/** An answer from its events. */
class StreamedAnswer {
  #id: string | null = null;
  #text = "";
  #firstMs = NaN;
  #last = NaN;
  readonly #betweenMs: number[] = [];
  #usage: Pick<Answer, "promptTokens" | "cachedTokens" | "tokens"> | null = null;
  #finished = false;
  #done = false;

  constructor(private readonly started: number) {}

  /** @returns whether it is text. @throws Error for what is no event of this answer. */
  take(data: string): boolean {
    if (this.#done) throw new Error("an event after the last");
    if (data === "[DONE]") {
      this.#done = true;
      return false;
    }
    const chunk = chunkSchema.safeParse(JSON.parse(data));
    if (!chunk.success) throw new Error(`an event that is no chunk: ${data.slice(0, 200)}`);
    const { id, choices, usage } = chunk.data;
    this.#id ??= id;
    if (this.#id !== id) throw new Error("an event of another answer");
    if (usage != null) {
      this.#usage = {
        promptTokens: usage.prompt_tokens,
        cachedTokens: usage.prompt_tokens_details.cached_tokens,
        tokens: usage.completion_tokens,
      };
    }
    const [choice] = choices;
    if (choice === undefined) return false;
    this.#finished ||= choice.finish_reason !== null;
    const text = choice.delta.content ?? "";
    if (text === "") return false;
    this.#text += text;
    const now = performance.now();
    if (Number.isNaN(this.#firstMs)) this.#firstMs = now - this.started;
    else this.#betweenMs.push(now - this.#last);
    this.#last = now;
    return true;
  }

  end(): Reply {
    if (!this.#done || !this.#finished || this.#usage === null) return { kind: "lost", reason: "the stream broke off" };
    return {
      kind: "answer",
      text: this.#text,
      ...this.#usage,
      firstMs: this.#firstMs,
      betweenMs: this.#betweenMs,
    };
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
