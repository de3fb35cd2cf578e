import { readAnswerReport, type AnswerReport } from "./answer-report";
import type { ApiKey } from "./api-key";
import { eventData } from "./event-stream";
import { isObject, listOf, numberOf, objectOf, parseJson, stringOf, stringOrNull } from "./json";
import { ServerError, errorMessage } from "./server-error";
import { readSlots, type SlotsReport } from "./slots-report";

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface Question {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly maxTokens: number;
  readonly temperature: number;
  /** Null for what the server takes by itself. */
  readonly policy: string | null;
  readonly recovery: number | null;
}

/** What a streamed answer brings, in the order in which it comes. */
export type AnswerEvent =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "finish"; readonly reason: string }
  | { readonly kind: "usage"; readonly promptTokens: number; readonly tokens: number }
  | { readonly kind: "report"; readonly report: AnswerReport };

/** The server that the page came from. */
export class Server {
  constructor(private readonly key: ApiKey) {}

  async models(): Promise<readonly string[]> {
    const body: unknown = await (await this.#fetch("v1/models")).json();
    return listOf(objectOf(body).data).map((model) => stringOf(objectOf(model).id));
  }

  async slots(): Promise<SlotsReport> {
    const body: unknown = await (await this.#fetch("slots", { signal: AbortSignal.timeout(10_000) })).json();
    return readSlots(body);
  }

  /** @throws {ServerError} also in the middle of an answer. */
  async *answer(question: Question, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, undefined> {
    const { model, messages, maxTokens, temperature, policy, recovery } = question;
    const response = await this.#fetch("v1/chat/completions", {
      method: "POST",
      signal,
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify({
        model,
        messages,
        stream: true,
        stream_options: { include_usage: true },
        max_tokens: maxTokens,
        temperature,
        winnow: { ...(policy !== null && { policy }), ...(recovery !== null && { recovery }) },
      }),
    });
    if (response.body === null) throw new ServerError(null, "The server sent no answer");
    for await (const data of eventData(response.body)) {
      if (data === "[DONE]") return;
      yield* chunkEvents(parseJson(data));
    }
    throw new ServerError(null, "The answer broke off");
  }

  async #fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.key.value !== "") headers.set("authorization", `Bearer ${this.key.value}`);
    const response = await fetch(new URL(path, document.baseURI), { ...init, headers, cache: "no-store" });
    if (response.ok) {
      this.key.accepted();
      return response;
    }
    const error = await ServerError.of(response);
    if (response.status === 401) this.key.refused();
    throw error;
  }
}

function* chunkEvents(value: unknown): Generator<AnswerEvent, void, undefined> {
  const chunk = objectOf(value);
  const problem = errorMessage(chunk);
  if (problem !== null) throw new ServerError(null, problem);
  const choice = objectOf(listOf(chunk.choices)[0]);
  const text = stringOf(objectOf(choice.delta).content);
  if (text !== "") yield { kind: "text", text };
  const reason = stringOrNull(choice.finish_reason);
  if (reason !== null) yield { kind: "finish", reason };
  const { usage, winnow } = chunk;
  if (isObject(usage)) {
    yield {
      kind: "usage",
      promptTokens: numberOf(usage.prompt_tokens),
      tokens: numberOf(usage.completion_tokens),
    };
  }
  if (isObject(winnow)) yield { kind: "report", report: readAnswerReport(winnow) };
}
