import { WinnowError, type SamplingParams } from "@winnow/core-tensor";

import type { CachePolicy } from "../cache/cache-policy";
import { extend, type ExtendReport, type ProbeSource } from "../cache/extend";
import { Sequence } from "../cache/sequence";
import { Sweeper } from "../cache/sweep";
import type { Engine } from "../engine";
import { decode, type Decoded, type GenerationEvent } from "../generate/decode";
import { percentiles, type GenerationReport } from "../generate/report";
import type { StepRounds } from "../generate/step-rounds";
import { StopStrings } from "../generate/stop-strings";
import { resolveSampling, type SamplingOptions } from "../generate/sampling";
import type { Tokenizer } from "../tokenizer";
import type { Turns } from "../turns";
import { generationOf, type Generation } from "./generation";

/** One part of a prompt, which is read and cut by itself. */
export interface PromptPart {
  readonly ids: readonly number[];
  /** What a probe over this part asks and replays; without one, profiled rows are the prompt's own late ones. */
  readonly probe: ProbeSource | null;
  /** Whether other prompts may begin with the same part; it matters where a prompt begins. */
  readonly shared?: boolean;
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called while a prompt is read, as (layer, rows) units are done, of `total` in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What to generate; sampling options left out come from the model's `generation_config.json`. */
export interface GenerateOptions extends SamplingOptions, ReadOptions {
  /** Default: until the context is used up. */
  readonly maxTokens?: number | undefined;
  /** The answer ends before any of these. */
  readonly stop?: readonly string[] | undefined;
  /** Go on after an end-of-text token. */
  readonly ignoreEos?: boolean | undefined;
  /** Called when the prompt has been read, while the sequence's logits are those of its last row. */
  readonly onPromptRead?: (() => Promise<void> | void) | undefined;
}

/** What a session needs of its model. */
export interface SessionModel {
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  readonly samplingDefaults: SamplingParams;
  readonly eosIds: ReadonlySet<number>;
  /** Where answers that are written at the same time meet. */
  readonly rounds: StepRounds;
  /** Prompts are read one at a time, so that one layer of one of them is uncut. */
  readonly reading: Turns;
}

/** How a session treats its cache. */
export interface SessionSettings {
  readonly policy: CachePolicy;
  /** T as asked for; null where the policy has none. */
  readonly recovery: number | null;
  /** Tokens between two sweeps while generating. */
  readonly interval: number;
  /** `keep`: a turn goes on over the compressed cache. `exact`: every turn reads the whole conversation anew. */
  readonly memory: "keep" | "exact";
}

/**
 * A token sequence that goes on: prompts and answers extend one cache, which each head has cut for itself. A call that
 * fails, or is aborted while it reads, leaves the tokens that were there before; an answer that is aborted or left
 * remains as far as it came. Either way the cache is then rebuilt from the tokens when the session goes on.
 */
export class Session implements Disposable {
  #sequence: Sequence;
  #sweeper: Sweeper;
  /** Everything read and drawn; what the sequence has not read of it yet is read before a next part. */
  readonly #tokens: number[] = [];
  #busy = false;
  /** Whether the cache may not hold what the tokens say, and is rebuilt from them. */
  #stale = false;
  #rows: ExtendReport["rows"] = { source: "none", note: null };

  constructor(
    private readonly model: SessionModel,
    readonly settings: SessionSettings,
  ) {
    this.#sequence = new Sequence(model.engine, settings.policy);
    this.#sweeper = new Sweeper(this.#sequence);
  }

  /** Tokens read and drawn so far. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  /** The cache behind the session. */
  get sequence(): Sequence {
    return this.#sequence;
  }

  /** Whether the cache may not hold what the tokens say: it is then rebuilt from them when the session goes on. */
  get stale(): boolean {
    return this.#stale;
  }

  /** Where the rows came from that heads were last profiled with, and why if that is not what was asked for. */
  get rows(): ExtendReport["rows"] {
    return this.#rows;
  }

  /**
   * Read parts of a prompt, each cut by itself, and nothing more.
   *
   * @throws WinnowError `prompt` when there is nothing to read, `context` when it does not fit, `aborted` after an abort.
   */
  async read(parts: readonly PromptPart[], options: ReadOptions = {}): Promise<void> {
    const release = this.#acquire(options.signal);
    try {
      await this.#read(parts, options);
    } finally {
      release();
    }
  }

  /** Read what is new and generate. Nothing runs before the first event, or the report, is asked for. */
  generate(parts: readonly PromptPart[], options: GenerateOptions = {}): Generation {
    return generationOf(this.#events(parts, options));
  }

  /** Go on over a cache that was saved: the tokens, and a sequence that has read the first of them. */
  restore(sequence: Sequence, tokens: readonly number[]): void {
    this.#replaceSequence(sequence);
    this.#tokens.splice(0, this.#tokens.length, ...tokens);
  }

  /**
   * Forget everything read and drawn: the next prompt begins anew.
   *
   * @throws WinnowError `usage` while a call is under way.
   */
  forget(): void {
    this.#acquire(undefined)();
    this.#replaceSequence(new Sequence(this.model.engine, this.settings.policy));
    this.#tokens.length = 0;
    this.#rows = { source: "none", note: null };
  }

  [Symbol.dispose](): void {
    this.#sweeper[Symbol.dispose]();
    this.#sequence[Symbol.dispose]();
  }

  async *#events(
    parts: readonly PromptPart[],
    options: GenerateOptions,
  ): AsyncGenerator<GenerationEvent, GenerationReport, undefined> {
    const sampling = resolveSampling(options, this.model.samplingDefaults);
    const { maxTokens = Infinity, stop = [] } = options;
    if (maxTokens !== Infinity && !(Number.isInteger(maxTokens) && maxTokens >= 1)) {
      throw new WinnowError("usage", `maxTokens is ${maxTokens}; expected a whole number of at least 1`);
    }
    const stops = new StopStrings(stop);
    const release = this.#acquire(options.signal);
    const decoded: Decoded = { tokens: [], text: "", finishReason: "error", times: [] };
    const started = performance.now();
    let promptMs: number | null = null;
    let profileMs = 0;
    const before = this.#tokens.length;
    try {
      profileMs = await this.#read(parts, options);
      promptMs = performance.now() - started;
      await options.onPromptRead?.();
      // What is enqueued for a step that is interrupted may never run: the next turn then reads the tokens anew.
      this.#stale = true;
      yield* decode(
        this.#sequence,
        this.#sweeper,
        this.model.rounds,
        this.model.tokenizer,
        {
          sampling,
          maxTokens,
          stops,
          eosIds: this.model.eosIds,
          ignoreEos: options.ignoreEos ?? false,
          interval: this.settings.interval,
          signal: options.signal,
        },
        decoded,
      );
      this.#stale = false;
    } catch (error) {
      if (options.signal?.aborted !== true) {
        decoded.tokens.length = 0;
        this.#unread(before);
        throw error;
      }
      decoded.finishReason = "abort";
    } finally {
      this.#tokens.push(...decoded.tokens);
      release();
    }
    const promptTokens = parts.reduce((sum, { ids }) => sum + ids.length, 0);
    return {
      text: decoded.text,
      tokens: decoded.tokens,
      promptTokens,
      finishReason: decoded.finishReason,
      backend: this.model.engine.backend.name,
      policy: this.settings.policy.text,
      recovery: this.settings.recovery,
      rows: this.#rows,
      kv: this.#sequence.report(),
      memory: this.model.engine.backend.memory.snapshot(),
      timings: {
        promptMs: promptMs ?? performance.now() - started,
        profileMs,
        tokenMs: percentiles(decoded.times),
        tokensPerSecond: rate(decoded.times),
      },
    };
  }

  /** @returns milliseconds spent on profiling and cutting. */
  async #read(parts: readonly PromptPart[], options: ReadOptions): Promise<number> {
    if (parts.length === 0 || parts.some(({ ids }) => ids.length === 0)) {
      throw new WinnowError("prompt", "the prompt is empty; give at least one token");
    }
    const total = this.#tokens.length + parts.reduce((sum, { ids }) => sum + ids.length, 0);
    const { context, llama } = this.model.engine;
    if (total > context) {
      throw new WinnowError(
        "context",
        `the prompt has ${total} tokens${this.#tokens.length > 0 ? " with the conversation before it" : ""}, and the model's context holds ${context}; shorten it`,
      );
    }
    for (const part of parts) expectTokens(part, llama.shape.vocabulary);
    if (this.#stale || this.settings.memory === "exact") {
      this.#replaceSequence(new Sequence(this.model.engine, this.settings.policy));
    }
    this.#stale = true;
    const before = this.#tokens.length;
    let profileMs = 0;
    try {
      using _ = await this.model.reading.take(options.signal, "reading the prompt");
      for (const { ids, probe } of parts) {
        const unread = this.#tokens.slice(this.#sequence.tokens.length);
        const report = await extend(this.#sequence, [...unread, ...ids], probe, options);
        if (report.rows.source !== "none") this.#rows = report.rows;
        profileMs += report.profileMs;
        this.#tokens.push(...ids);
      }
    } catch (error) {
      this.#unread(before);
      throw error;
    }
    this.#stale = false;
    return profileMs;
  }

  /** Go back to the first `count` tokens; where there are more, the cache has read more as well. */
  #unread(count: number): void {
    if (this.#tokens.length > count) this.#stale = true;
    this.#tokens.length = count;
  }

  #replaceSequence(sequence: Sequence): void {
    this[Symbol.dispose]();
    this.#sequence = sequence;
    this.#sweeper = new Sweeper(sequence);
    this.#stale = false;
  }

  /** Take the session for one call; an abort from outside stops the device at once, where the call has it alone. */
  #acquire(signal: AbortSignal | undefined): () => void {
    if (this.#busy) {
      throw new WinnowError("usage", "the session is busy with another call; wait for it, or make a second session");
    }
    this.#busy = true;
    const { backend, calls } = this.model.engine;
    calls.add(this);
    const interrupt = (): void => {
      // Beside other sessions' work, the call ends when it next looks at the signal.
      if (calls.size === 1) backend.interrupt();
    };
    signal?.addEventListener("abort", interrupt);
    return () => {
      signal?.removeEventListener("abort", interrupt);
      calls.delete(this);
      this.#busy = false;
    };
  }
}

/** @throws WinnowError `prompt` when an id is none of the model's. */
function expectTokens({ ids, probe }: PromptPart, vocabulary: number): void {
  const probed = probe === null ? [] : probe.kind === "ids" ? [probe.ids] : [probe.request, probe.subject];
  for (const id of [ids, ...probed].flat()) {
    if (!Number.isInteger(id) || id < 0 || id >= vocabulary) {
      throw new WinnowError(
        "prompt",
        `the token id ${id} is none of the model's; expected whole numbers below ${vocabulary}`,
      );
    }
  }
}

function rate(times: readonly number[]): number | null {
  const total = times.reduce((sum, time) => sum + time, 0);
  return total === 0 ? null : (1000 * times.length) / total;
}
