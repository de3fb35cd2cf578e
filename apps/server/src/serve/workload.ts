import { setMaxListeners } from "node:events";

import type {
  GenerateOptions,
  GenerationEvent,
  GenerationReport,
  Model,
  PromptPart,
  PromptReport,
  Session,
  SessionOptions,
} from "@winnow/runtime";

import { ApiError } from "../http/api-error";
import type { Turn } from "./conversations";
import { EventQueue } from "./event-queue";
import type { ServerMetrics } from "./metrics";

/** What a request wants to be answered. */
export interface AnswerRequest {
  readonly id: string;
  /** Prompts that are answered at the same time, each by itself. */
  readonly prompts: readonly (readonly PromptPart[])[];
  /** Answers to each prompt. */
  readonly choices: number;
  readonly session: SessionOptions;
  readonly options: Omit<GenerateOptions, "choice" | "signal" | "onProgress" | "onPromptRead">;
  /** The conversation that the only answer belongs to. */
  readonly turn: Turn | null;
}

type TokenEvent = Extract<GenerationEvent, { kind: "token" }>;

/** What happens while a request is answered; choices are counted over all prompts. */
export type AnswerEvent =
  | { readonly kind: "token"; readonly choice: number; readonly text: string; readonly token: TokenEvent | null }
  | { readonly kind: "end"; readonly choice: number; readonly report: GenerationReport };

export interface WorkloadOptions {
  /** Requests that may wait to be read. */
  readonly maxQueue: number;
  /** Milliseconds from its arrival that a request may take. */
  readonly deadlineMs: number;
}

/** A request that is being answered. */
export interface Job {
  readonly id: string;
  readonly startedAtMs: number;
  readonly sessions: readonly Session[];
  readonly promptTokens: number;
}

/**
 * Requests under way. It refuses what does not fit the queue, gives every request a deadline, ends what its client has left,
 * and winds down. Which of them read, write or wait for room is the runtime's to decide.
 */
export class Workload {
  readonly #jobs = new Map<OpenJob, AbortController>();
  #closing = false;
  #whenEmpty: (() => void) | null = null;

  constructor(
    private readonly model: Model,
    private readonly options: WorkloadOptions,
    private readonly metrics: ServerMetrics,
  ) {}

  get jobs(): readonly Job[] {
    return [...this.#jobs.keys()];
  }

  get maxQueue(): number {
    return this.options.maxQueue;
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Requests whose prompt has still to be read. */
  get waiting(): number {
    return this.jobs.filter(isWaiting).length;
  }

  /**
   * Begin to answer. The work goes on whether or not its events are read, until the client's signal.
   *
   * @throws ApiError 429 when the queue is full, 503 while the server shuts down; WinnowError for options that the model
   * does not allow.
   */
  begin(request: AnswerRequest, client: AbortSignal): AsyncIterable<AnswerEvent> {
    this.expectRoom();
    const job = new OpenJob(this.model, request, this.metrics);
    const abort = new AbortController();
    const giveUp = (): void => {
      abort.abort(new ApiError(499, "server_error", "the request was given up by its client"));
    };
    if (client.aborted) giveUp();
    client.addEventListener("abort", giveUp, { once: true });
    const { deadlineMs } = this.options;
    const deadline = setTimeout(() => {
      abort.abort(
        new ApiError(504, "server_error", `the request took longer than its deadline of ${deadlineMs / 1000} s`, {
          code: "deadline_exceeded",
        }),
      );
    }, deadlineMs);
    this.#jobs.set(job, abort);
    void job.run(abort.signal).finally(() => {
      clearTimeout(deadline);
      client.removeEventListener("abort", giveUp);
      this.#jobs.delete(job);
      if (this.#jobs.size === 0) this.#whenEmpty?.();
    });
    return job.events;
  }

  /** Take nothing new; wait for what is under way, and cut it off at a deadline. */
  async close(deadlineMs: number): Promise<void> {
    this.#closing = true;
    if (this.#jobs.size === 0) return;
    const cutOff = setTimeout(() => {
      const reason = new ApiError(503, "server_error", "the server is shutting down", { code: "shutting_down" });
      for (const abort of this.#jobs.values()) abort.abort(reason);
    }, deadlineMs);
    await new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
    });
    clearTimeout(cutOff);
  }

  /** @throws ApiError 429 when the queue is full, 503 while the server shuts down. */
  expectRoom(): void {
    if (this.#closing) {
      throw new ApiError(503, "server_error", "the server is shutting down", {
        code: "shutting_down",
        retryAfterSeconds: 10,
      });
    }
    const { waiting } = this;
    if (waiting >= this.options.maxQueue) {
      throw new ApiError(
        429,
        "rate_limit_error",
        `${waiting} requests are waiting already, and the queue holds ${this.options.maxQueue}; try again later`,
        { code: "queue_full", retryAfterSeconds: Math.max(1, Math.ceil(waiting / 8)) },
      );
    }
  }
}

function isWaiting({ sessions }: Job): boolean {
  return sessions.every(({ state, tokens }) => state === "waiting" || (state === "idle" && tokens.length === 0));
}

/**
 * What the calls give, or the first failure, which ends the others: but only when every one has ended, for their sessions
 * are closed behind them.
 */
async function allEnded<T>(calls: readonly Promise<T>[], failure: AbortController): Promise<T[]> {
  for (const call of calls) {
    call.catch((error: unknown) => {
      if (!failure.signal.aborted) failure.abort(error);
    });
  }
  const outcomes = await Promise.allSettled(calls);
  if (failure.signal.aborted) throw failure.signal.reason;
  return outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
}

class OpenJob implements Job {
  readonly id: string;
  readonly startedAtMs = performance.now();
  readonly events = new EventQueue<AnswerEvent>();
  readonly #sessions: Session[];

  constructor(
    model: Model,
    private readonly request: AnswerRequest,
    private readonly metrics: ServerMetrics,
  ) {
    this.id = request.id;
    const { turn } = request;
    this.#sessions = request.prompts.map(() => turn?.session ?? model.createSession(request.session));
  }

  get sessions(): readonly Session[] {
    return this.#sessions;
  }

  get promptTokens(): number {
    return this.request.prompts.flat().reduce((sum, { ids }) => sum + ids.length, 0);
  }

  /** Never rejects: what goes wrong ends the events. */
  async run(signal: AbortSignal): Promise<void> {
    const { turn, prompts, choices } = this.request;
    let answer: GenerationReport | null = null;
    const failure = new AbortController();
    const either = AbortSignal.any([signal, failure.signal]);
    // Every answer listens to it.
    setMaxListeners(0, either);
    try {
      const firsts = [...this.#sessions];
      const calls = prompts.map((parts, p) => this.#answerPrompt(firsts[p], parts, p * choices, either, failure));
      [answer = null] = await allEnded(calls, failure);
      this.events.end();
    } catch (error) {
      this.events.fail(signal.aborted ? signal.reason : error);
    } finally {
      for (const session of this.#sessions) if (session !== turn?.session) session[Symbol.dispose]();
      turn?.end(answer);
    }
  }

  /** @returns the first choice's report. */
  async #answerPrompt(
    session: Session | undefined,
    parts: readonly PromptPart[],
    firstChoice: number,
    signal: AbortSignal,
    failure: AbortController,
  ): Promise<GenerationReport> {
    if (session === undefined) throw new RangeError("a prompt has no session");
    const { choices } = this.request;
    if (choices === 1) return this.#write(session, parts, firstChoice, 0, null, signal);
    const read = await session.read(parts, { signal });
    const sessions = [session];
    for (let choice = 1; choice < choices; choice++) {
      const other = await session.fork();
      this.#sessions.push(other);
      sessions.push(other);
    }
    const [first] = await allEnded(
      sessions.map((one, choice) => this.#write(one, [], firstChoice + choice, choice, read, signal)),
      failure,
    );
    if (first === undefined) throw new RangeError("a prompt has no choice");
    return first;
  }

  async #write(
    session: Session,
    parts: readonly PromptPart[],
    number: number,
    choice: number,
    read: PromptReport | null,
    signal: AbortSignal,
  ): Promise<GenerationReport> {
    // What a conversation has read before is part of its prompt.
    const promptTokens = session.tokens.length + parts.reduce((sum, { ids }) => sum + ids.length, 0);
    const generation = session.generate(parts, { ...this.request.options, choice, signal });
    let last = 0;
    for await (const event of generation) {
      const now = performance.now();
      if (event.kind === "token") {
        if (last === 0) this.metrics.firstToken(now - this.startedAtMs);
        else this.metrics.nextToken(now - last);
        last = now;
      }
      const token = event.kind === "token" ? event : null;
      this.events.push({ kind: "token", choice: number, text: event.text, token });
    }
    const report = await generation.report();
    if (report.finishReason === "abort") throw signal.reason;
    const { timings } = report;
    const { queueMs, promptMs, profileMs, cachedTokens } = read ?? { ...report, ...timings };
    const whole = { ...report, promptTokens, cachedTokens, timings: { ...timings, queueMs, promptMs, profileMs } };
    this.metrics.answered(whole, choice === 0);
    this.events.push({ kind: "end", choice: number, report: whole });
    return whole;
  }
}
