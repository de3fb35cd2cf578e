import { OpenAPIHono, createRoute, type z } from "@hono/zod-openapi";
import { chatParts, type ChatMessage, type GenerationReport } from "@winnow/runtime";

import type { AnswerEvent } from "../serve/workload";
import type { Deployment } from "../serve/deployment";
import { invalid } from "../http/invalid";
import {
  chatAnswerSchema,
  chatChunkSchema,
  chatRequestSchema,
  type ChatAnswer,
  type ChatChunk,
  type ChatRequest,
} from "./chat-schema";
import { refusals } from "./error-schema";
import { eventStream } from "./event-stream";
import { finishReasonOf } from "./finish-reason";
import { logProbabilityOf, type LogProbability } from "./log-probabilities";
import { samplingOf } from "./sampling";
import { usageOf } from "./usage";
import { winnowReport } from "./winnow-report";

const route = createRoute({
  method: "post",
  path: "/v1/chat/completions",
  summary: "Answer a conversation",
  request: { body: { required: true, content: { "application/json": { schema: chatRequestSchema } } } },
  responses: {
    200: {
      description: "The answer; with stream, in chunks as server-sent events",
      content: {
        "application/json": { schema: chatAnswerSchema },
        "text/event-stream": { schema: chatChunkSchema },
      },
    },
    ...refusals,
  },
});

/** `POST /v1/chat/completions` */
export function chatCompletions(deployment: Deployment): OpenAPIHono {
  return new OpenAPIHono({ defaultHook: invalid }).openapi(route, async (c): Promise<Response> => {
    const request = c.req.valid("json");
    const id = `chatcmpl-${c.var.requestId}`;
    const events = begin(deployment, request, id, c.var.owner, c.req.raw.signal);
    const answer = new ChatAnswering(deployment, request, id);
    if (request.stream === true) return eventStream(c, answer.chunks(events));
    return c.json(await answer.whole(events), 200);
  });
}

function begin(
  deployment: Deployment,
  request: ChatRequest,
  id: string,
  owner: string,
  client: AbortSignal,
): AsyncIterable<AnswerEvent> {
  deployment.expectModel(request.model);
  const messages = request.messages.map(messageOf);
  deployment.limits.expectText(
    messages.map(({ content }) => content),
    "messages",
  );
  const choices = request.n ?? 1;
  const session = deployment.sessionOptions(request.winnow);
  const name = request.winnow?.session;
  deployment.workload.expectRoom();
  const turn = name === undefined ? null : deployment.conversations.take(owner, name, messages, session);
  try {
    const parts = turn?.parts ?? chatParts(deployment.model, messages);
    deployment.limits.expectRoom(parts, turn?.session.tokens.length ?? 0, "messages");
    const options = {
      ...samplingOf(request),
      maxTokens: request.max_completion_tokens ?? request.max_tokens ?? undefined,
      topTokens: request.logprobs === true ? (request.top_logprobs ?? 0) : 0,
    };
    return deployment.workload.begin({ id, prompts: [parts], choices, session, options, turn }, client);
  } catch (error) {
    turn?.release();
    throw error;
  }
}

function messageOf({ role, content }: ChatRequest["messages"][number]): ChatMessage {
  const text = typeof content === "string" ? content : content.map((part) => part.text).join("");
  return { role: role === "developer" ? "system" : role, content: text };
}

/** Events of an answer in the shapes of OpenAI's. */
class ChatAnswering {
  readonly #heading: { id: string; created: number; model: string; system_fingerprint: string };
  readonly #choices: number;

  constructor(
    private readonly deployment: Deployment,
    private readonly request: ChatRequest,
    id: string,
  ) {
    const created = Math.floor(Date.now() / 1000);
    this.#heading = { id, created, model: deployment.modelId, system_fingerprint: deployment.fingerprint };
    this.#choices = request.n ?? 1;
  }

  async *chunks(events: AsyncIterable<AnswerEvent>): AsyncGenerator<ChatChunk, void, undefined> {
    for (let index = 0; index < this.#choices; index++) {
      yield this.#chunk({ index, delta: { role: "assistant", content: "" }, finish_reason: null });
    }
    const reports: GenerationReport[] = [];
    for await (const event of events) {
      if (event.kind === "end") {
        reports[event.choice] = event.report;
        const reason = finishReasonOf(event.report.finishReason);
        yield {
          ...this.#chunk({ index: event.choice, delta: {}, finish_reason: reason }),
          ...(event.choice === 0 ? { winnow: winnowReport(event.report) } : {}),
        };
        continue;
      }
      const probability = this.#probabilityOf(event);
      if (event.text === "" && probability === null) continue;
      yield this.#chunk({
        index: event.choice,
        delta: { content: event.text },
        ...(this.request.logprobs === true
          ? { logprobs: { content: probability === null ? [] : [probability], refusal: null } }
          : {}),
        finish_reason: null,
      });
    }
    if (this.request.stream_options?.include_usage === true) {
      yield { ...this.#chunk(), usage: usageOf(reports, this.#choices) };
    }
  }

  async whole(events: AsyncIterable<AnswerEvent>): Promise<ChatAnswer> {
    const reports: GenerationReport[] = [];
    const probabilities: LogProbability[][] = Array.from({ length: this.#choices }, () => []);
    for await (const event of events) {
      if (event.kind === "end") reports[event.choice] = event.report;
      else {
        const probability = this.#probabilityOf(event);
        if (probability !== null) probabilities[event.choice]?.push(probability);
      }
    }
    const [first] = reports;
    if (first === undefined) throw new RangeError("an answer ended without a report");
    return {
      ...this.#heading,
      object: "chat.completion",
      choices: reports.map(({ text, finishReason }, index) => ({
        index,
        message: { role: "assistant", content: text, refusal: null },
        logprobs: this.request.logprobs === true ? { content: probabilities[index] ?? [], refusal: null } : null,
        finish_reason: finishReasonOf(finishReason),
      })),
      usage: usageOf(reports, this.#choices),
      winnow: winnowReport(first),
    };
  }

  #chunk(...choices: z.infer<typeof chatChunkSchema>["choices"]): ChatChunk {
    const usage = this.request.stream_options?.include_usage === true ? { usage: null } : {};
    return { ...this.#heading, object: "chat.completion.chunk", choices, ...usage };
  }

  /** Of tokens that are text; a token that ends the answer is none. */
  #probabilityOf({ token }: Extract<AnswerEvent, { kind: "token" }>): LogProbability | null {
    if (this.request.logprobs !== true || token === null) return null;
    const { model } = this.deployment;
    return model.eosIds.has(token.id) ? null : logProbabilityOf(model.tokenizer, token);
  }
}
