import { OpenAPIHono, createRoute } from "@hono/zod-openapi";
import { idsPart, textPart, type GenerationReport, type PromptPart } from "@winnow/runtime";

import { invalid } from "../http/invalid";
import type { Deployment } from "../serve/deployment";
import type { AnswerEvent } from "../serve/workload";
import {
  completionRequestSchema,
  completionSchema,
  type Completion,
  type CompletionLogProbabilities,
  type CompletionRequest,
} from "./completion-schema";
import { refusals } from "./error-schema";
import { eventStream } from "./event-stream";
import { finishReasonOf } from "./finish-reason";
import { logProbabilityOf } from "./log-probabilities";
import { samplingOf } from "./sampling";
import { usageOf } from "./usage";
import { winnowReport } from "./winnow-report";

const route = createRoute({
  method: "post",
  path: "/v1/completions",
  summary: "Go on from a text",
  request: { body: { required: true, content: { "application/json": { schema: completionRequestSchema } } } },
  responses: {
    200: {
      description: "The answer; with stream, in chunks as server-sent events",
      content: { "application/json": { schema: completionSchema }, "text/event-stream": { schema: completionSchema } },
    },
    ...refusals,
  },
});

/** `POST /v1/completions` */
export function completions(deployment: Deployment): OpenAPIHono {
  return new OpenAPIHono({ defaultHook: invalid }).openapi(route, async (c): Promise<Response> => {
    const request = c.req.valid("json");
    const id = `cmpl-${c.var.requestId}`;
    deployment.expectModel(request.model);
    const prompts = promptsOf(deployment, request);
    const choices = request.n ?? 1;
    const events = deployment.workload.begin(
      {
        id,
        prompts,
        choices,
        session: deployment.sessionOptions(request.winnow),
        options: {
          ...samplingOf(request),
          maxTokens: request.max_tokens ?? undefined,
          topTokens: request.logprobs ?? 0,
        },
        turn: null,
      },
      c.req.raw.signal,
    );
    const answer = new Completing(deployment, request, id, prompts.length * choices);
    if (request.stream === true) return eventStream(c, answer.chunks(events));
    return c.json(await answer.whole(events), 200);
  });
}

function promptsOf({ limits, model }: Deployment, { prompt }: CompletionRequest): PromptPart[][] {
  const { tokenizer } = model;
  const several = typeof prompt === "string" ? [prompt] : isIds(prompt) ? [prompt] : prompt;
  limits.expectText(
    several.filter((one) => typeof one === "string"),
    "prompt",
  );
  return several.map((one) => {
    if (typeof one !== "string") limits.expectIds(one, "prompt");
    const parts = [typeof one === "string" ? textPart(tokenizer, one, true) : idsPart(tokenizer, one)];
    limits.expectRoom(parts, 0, "prompt");
    return parts;
  });
}

function isIds(prompt: readonly unknown[]): prompt is number[] {
  return typeof prompt[0] === "number";
}

/** Events of an answer in the shapes of OpenAI's. */
class Completing {
  readonly #heading: Pick<Completion, "id" | "object" | "created" | "model" | "system_fingerprint">;
  /** Characters of each choice so far. */
  readonly #lengths: number[];

  constructor(
    private readonly deployment: Deployment,
    private readonly request: CompletionRequest,
    id: string,
    count: number,
  ) {
    this.#heading = {
      id,
      object: "text_completion",
      created: Math.floor(Date.now() / 1000),
      model: deployment.modelId,
      system_fingerprint: deployment.fingerprint,
    };
    this.#lengths = new Array<number>(count).fill(0);
  }

  async *chunks(events: AsyncIterable<AnswerEvent>): AsyncGenerator<Completion, void, undefined> {
    const usage = this.request.stream_options?.include_usage === true ? { usage: null } : {};
    const reports: GenerationReport[] = [];
    for await (const event of events) {
      const index = event.choice;
      if (event.kind === "end") {
        reports[index] = event.report;
        const finish_reason = finishReasonOf(event.report.finishReason);
        const winnow = index === 0 ? { winnow: winnowReport(event.report) } : {};
        yield { ...this.#heading, choices: [{ index, text: "", logprobs: null, finish_reason }], ...usage, ...winnow };
        continue;
      }
      const logprobs = this.#probabilitiesOf(event);
      this.#lengths[index] = (this.#lengths[index] ?? 0) + event.text.length;
      if (event.text === "" && logprobs === null) continue;
      yield { ...this.#heading, choices: [{ index, text: event.text, logprobs, finish_reason: null }], ...usage };
    }
    if (this.request.stream_options?.include_usage === true) {
      yield { ...this.#heading, choices: [], usage: usageOf(reports, this.request.n ?? 1) };
    }
  }

  async whole(events: AsyncIterable<AnswerEvent>): Promise<Completion> {
    const reports: GenerationReport[] = [];
    const probabilities = this.#lengths.map((): CompletionLogProbabilities => noProbabilities());
    for await (const event of events) {
      if (event.kind === "end") {
        reports[event.choice] = event.report;
        continue;
      }
      const more = this.#probabilitiesOf(event);
      this.#lengths[event.choice] = (this.#lengths[event.choice] ?? 0) + event.text.length;
      const all = probabilities[event.choice];
      if (more === null || all === undefined) continue;
      all.tokens.push(...more.tokens);
      all.token_logprobs.push(...more.token_logprobs);
      all.top_logprobs.push(...more.top_logprobs);
      all.text_offset.push(...more.text_offset);
    }
    const [first] = reports;
    if (first === undefined) throw new RangeError("an answer ended without a report");
    return {
      ...this.#heading,
      choices: reports.map(({ text, finishReason }, index) => ({
        index,
        text,
        logprobs: this.request.logprobs == null ? null : (probabilities[index] ?? null),
        finish_reason: finishReasonOf(finishReason),
      })),
      usage: usageOf(reports, this.request.n ?? 1),
      winnow: winnowReport(first),
    };
  }

  /** Of a token that is text; a token that ends the answer is none. */
  #probabilitiesOf({ token, choice }: Extract<AnswerEvent, { kind: "token" }>): CompletionLogProbabilities | null {
    const { model } = this.deployment;
    if (this.request.logprobs == null || token === null || model.eosIds.has(token.id)) return null;
    const { token: text, logprob, top_logprobs } = logProbabilityOf(model.tokenizer, token);
    return {
      tokens: [text],
      token_logprobs: [logprob],
      top_logprobs: [Object.fromEntries(top_logprobs.map((one) => [one.token, one.logprob]))],
      text_offset: [this.#lengths[choice] ?? 0],
    };
  }
}

function noProbabilities(): CompletionLogProbabilities {
  return { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
}
