import { WinnowError, type SamplingParams } from "@winnow/core-tensor";

import type { Admitted, Resident } from "../cache/admission";
import { fittedRecovery } from "../cache/byte-target";
import { extend, type ExtendReport } from "../cache/extend";
import type { PrefixCache } from "../cache/prefix-cache";
import { promptNeed, promptSize, type PromptSize } from "../cache/prompt-need";
import { Sequence } from "../cache/sequence";
import { Sweeper } from "../cache/sweep";
import type { Engine } from "../engine";
import type { Drafting } from "../generate/draft-finder";
import { decode, type Decoded, type GenerationEvent } from "../generate/decode";
import { percentiles, tokensPerSecond, type GenerationReport, type KvReport } from "../generate/report";
import type { StepRounds } from "../generate/step-rounds";
import { NO_SPECULATION, Speculation } from "../generate/speculation";
import { StopStrings } from "../generate/stop-strings";
import { resolveSampling } from "../generate/sampling";
import type { PromptPart } from "../prompt/prompt-part";
import type { Tokenizer } from "../tokenizer";
import type { Turns } from "../turns";
import type { GenerateOptions, PromptReport, ReadOptions } from "./generate-options";
import { expectGenerable } from "./expect-generable";
import { expectReadable } from "./expect-readable";
import { generationOf, type Generation } from "./generation";
import { resolveDrafting } from "./resolve-drafting";
import { replayingToo } from "./replaying-too";
import type { SessionSettings } from "./session-settings";

const NOTHING: PromptPart = { ids: [], probe: null };
const NO_ROWS: ExtendReport["rows"] = { source: "none", note: null };

export type { GenerateOptions, PromptReport, ReadOptions } from "./generate-options";

type ReadingReport = Omit<PromptReport, "promptMs">;

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
  /** Parts that prompts begin with. */
  readonly prefixes: PrefixCache;
}

/**
 * What a session is doing: nothing, waiting for other prompts or for room in the KV budget, reading a prompt, or writing an
 * answer. One that is parked has its cache on the host, for others' sake.
 */
export type SessionState = "idle" | "waiting" | "reading" | "writing" | "parked";

/**
 * A token sequence that goes on: prompts and answers extend one cache, which each head has cut for itself. A call that
 * fails, or is aborted while it reads, leaves the tokens that were there before; an answer that is aborted or left
 * remains as far as it came. Either way the cache is then rebuilt from the tokens when the session goes on.
 */
export class Session implements Disposable, Resident {
  #sequence: Sequence | null = null;
  #sweeper: Sweeper | null = null;
  /** Everything read and drawn; what the sequence has not read of it yet is read before a next part. */
  readonly #tokens: number[] = [];
  #call: "none" | "waiting" | "reading" | "writing" = "none";
  #admitted: Admitted | null = null;
  /** The cache is on its way to the host. */
  #leaving: Promise<void> | null = null;
  /** Whether the cache may not hold what the tokens say, and is rebuilt from them. */
  #stale = false;
  #rows: ExtendReport["rows"] = NO_ROWS;
  /** What the last probe asked, for a cache that is rebuilt when nothing new is read. */
  #request: readonly number[] | null = null;
  #disposed = false;

  #drafting: Drafting | null;

  constructor(
    private readonly model: SessionModel,
    readonly settings: SessionSettings,
  ) {
    this.#drafting = settings.drafting;
  }

  /** Tokens read and drawn so far. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  /** The cache behind the session; made when it is first needed. */
  get sequence(): Sequence {
    if (this.#disposed) throw new WinnowError("disposed", "the session was closed while it was in use");
    this.#sequence ??= new Sequence(this.model.engine, this.settings.policy);
    return this.#sequence;
  }

  get state(): SessionState {
    if (this.#call === "none") return this.#sequence?.parked === true ? "parked" : "idle";
    return this.#admitted?.parked === true ? "parked" : this.#call;
  }

  /** T: as it was asked for, or as a target was met by it; null where the policy has none. */
  get recovery(): number | null {
    const fitted = this.#sequence?.fitted ?? null;
    return fitted === null ? this.settings.recovery : fittedRecovery(fitted);
  }

  /** What the cache holds on the device now; null before anything was read. */
  get kv(): KvReport | null {
    return this.#sequence?.report() ?? null;
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
   * @throws WinnowError `prompt` when there is nothing to read, `context` when it does not fit, `memory` when it does not fit
   * the KV budget even alone, `aborted` after an abort.
   */
  async read(parts: readonly PromptPart[], options: ReadOptions = {}): Promise<PromptReport> {
    const release = this.#acquire(options.signal);
    try {
      if (parts.length === 0) throw new WinnowError("prompt", "the prompt is empty; give at least one token");
      const started = performance.now();
      const { queueMs, profileMs, cachedTokens } = await this.#read(parts, options);
      return { queueMs, profileMs, cachedTokens, promptMs: performance.now() - started - queueMs };
    } finally {
      release();
    }
  }

  /**
   * Read what is new and generate; without parts, go on from what was read. Nothing runs before the first event, or the
   * report, is asked for.
   */
  generate(parts: readonly PromptPart[], options: GenerateOptions = {}): Generation {
    return generationOf(this.#events(parts, options));
  }

  /**
   * A second session that holds the same: several answers to one prompt, which is read once.
   *
   * @throws WinnowError `usage` while a call is under way.
   * @example
   * ```ts
   * await session.read(parts);
   * using other = await session.fork();
   * const both = [session, other].map((one, choice) => one.generate([], { choice, temperature: 1 }).report());
   * ```
   */
  async fork(): Promise<Session> {
    const release = this.#acquire(undefined);
    const fork = new Session(this.model, this.settings);
    fork.#drafting = this.#drafting;
    try {
      await this.#leaving;
      const sequence = this.#sequence;
      if (sequence !== null && !this.#stale) {
        const { admission, backend } = this.model.engine;
        admission.rouse(this);
        const fits = (): Promise<Sequence | null> =>
          admission.take(
            () => sequence.held,
            () => sequence.fork(),
          );
        const copy = sequence.parked ? null : await fits();
        // Without room for two, both have theirs from the host.
        if (copy === null) await sequence.park();
        fork.#replaceSequence(copy ?? sequence.fork());
        await backend.flush();
      }
      fork.#tokens.push(...this.#tokens);
      fork.#stale = this.#stale;
      fork.#rows = this.#rows;
      fork.#request = this.#request;
    } catch (error) {
      fork[Symbol.dispose]();
      throw error;
    } finally {
      release();
    }
    fork.#rest();
    return fork;
  }

  /** Go on over a cache that was saved: the tokens, and a sequence that has read the first of them. */
  restore(sequence: Sequence, tokens: readonly number[]): void {
    this.#replaceSequence(sequence);
    this.#tokens.splice(0, this.#tokens.length, ...tokens);
    this.#rest();
  }

  /**
   * Have the cache on the device, from where others' prompts may have moved it.
   *
   * @throws WinnowError `aborted`, `memory` when it does not fit the KV budget even alone
   */
  async wake(signal?: AbortSignal): Promise<void> {
    const release = this.#acquire(signal);
    try {
      using _ = await this.model.reading.take(signal, "waiting for other prompts");
      await this.#admit(promptSize(this.model.engine, this.settings.policy, this.#tokens.length, []), signal);
    } finally {
      release();
    }
  }

  /**
   * Forget everything read and drawn: the next prompt begins anew.
   *
   * @throws WinnowError `usage` while a call is under way.
   */
  forget(): void {
    this.#acquire(undefined)();
    this.#replaceSequence(null);
    this.#tokens.length = 0;
    this.#rows = NO_ROWS;
    this.#request = null;
  }

  /**
   * Guess so many tokens at a time from the next answer on, as the option of a session does.
   *
   * @param tokens 1 to 7, or 0 for none.
   * @throws SessionOptionError for a number of tokens that no step has room for.
   * @example
   * ```ts
   * const { session } = await restoreSession(model, path);
   * session.speculate(4);
   * ```
   */
  speculate(tokens: number): void {
    this.#drafting = resolveDrafting({ speculate: tokens });
  }

  /** Make room for others: the cache moves to the host until the session goes on. */
  async leave(): Promise<void> {
    const sequence = this.#sequence;
    if (sequence === null) return;
    if (this.#stale) {
      this.#replaceSequence(null);
      this.#stale = this.#tokens.length > 0;
      return;
    }
    // What was interrupted stays where it is.
    this.#leaving = sequence.park().catch(() => undefined);
    await this.#leaving;
    this.#leaving = null;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#replaceSequence(null);
  }

  async *#events(
    parts: readonly PromptPart[],
    options: GenerateOptions,
  ): AsyncGenerator<GenerationEvent, GenerationReport, undefined> {
    const sampling = resolveSampling(options, this.model.samplingDefaults);
    const { maxTokens = Infinity, stop = [], choice = 0, topTokens = 0 } = options;
    expectGenerable({ maxTokens, choice, topTokens });
    const stops = new StopStrings(stop);
    const release = this.#acquire(options.signal);
    const decoded: Decoded = { tokens: [], text: "", finishReason: "error", times: [] };
    const started = performance.now();
    let reading: ReadingReport | null = null;
    let promptMs: number | null = null;
    const drafting = this.#drafting;
    let speculation: Speculation | null = null;
    const before = this.#tokens.length;
    try {
      const { admitted, ...report } = await this.#read(parts, options);
      reading = report;
      promptMs = performance.now() - started - reading.queueMs;
      await options.onPromptRead?.();
      this.#sweeper ??= new Sweeper(this.sequence);
      this.#call = "writing";
      const { engine } = this.model;
      if (drafting !== null) speculation = new Speculation(engine, drafting, this.sequence.tokens);
      // What is enqueued for a step that is interrupted may never run: the next turn then reads the tokens anew.
      this.#stale = true;
      yield* decode(
        this.sequence,
        this.#sweeper,
        this.model.rounds,
        this.model.tokenizer,
        {
          admitted,
          sampling,
          choice,
          topTokens,
          maxTokens,
          stops,
          eosIds: this.model.eosIds,
          ignoreEos: options.ignoreEos ?? false,
          interval: this.settings.interval,
          speculation,
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
      speculation?.[Symbol.dispose]();
      this.#tokens.push(...decoded.tokens);
      release();
    }
    const promptTokens = parts.reduce((sum, { ids }) => sum + ids.length, 0);
    return {
      text: decoded.text,
      tokens: decoded.tokens,
      promptTokens,
      cachedTokens: reading?.cachedTokens ?? 0,
      finishReason: decoded.finishReason,
      backend: this.model.engine.backend.name,
      policy: this.settings.policy.text,
      recovery: this.recovery,
      rows: this.#rows,
      kv: this.sequence.report(),
      speculation: drafting === null ? null : (speculation?.counts ?? NO_SPECULATION),
      memory: this.model.engine.backend.memory.snapshot(),
      timings: {
        queueMs: reading?.queueMs ?? 0,
        promptMs: promptMs ?? performance.now() - started,
        profileMs: reading?.profileMs ?? 0,
        tokenMs: percentiles(decoded.times),
        tokensPerSecond: tokensPerSecond(decoded.times),
      },
    };
  }

  async #read(
    parts: readonly PromptPart[],
    options: ReadOptions,
  ): Promise<ReadingReport & { readonly admitted: Admitted }> {
    const { engine } = this.model;
    expectReadable(parts, this.#tokens.length, engine);
    const started = performance.now();
    using _ = await this.model.reading.take(options.signal, "reading the prompt");
    await this.#leaving;
    if (this.#stale || this.settings.memory === "exact") this.#replaceSequence(null);
    const before = this.#tokens.length;
    const unread = this.#tokens.slice(this.#sequence?.tokens.length ?? 0);
    const [first = NOTHING, ...others] = parts;
    const isRebuilt = this.#sequence === null && before > 0;
    const asked =
      parts.length > 0 || unread.length > 0
        ? [
            isRebuilt
              ? { ...first, probe: replayingToo(first.probe, unread, this.#request, this.model.tokenizer) }
              : first,
            ...others,
          ]
        : [];
    const sizes = asked.map(({ ids, probe }, i) => ({ rows: ids.length + (i === 0 ? unread.length : 0), probe }));
    const size = promptSize(engine, this.settings.policy, before - unread.length, sizes);
    const admitted = await this.#admit(size, options.signal);
    const queueMs = performance.now() - started;
    this.#call = "reading";
    this.#stale = true;
    let cachedTokens = before - unread.length;
    let profileMs = 0;
    try {
      for (const part of asked) {
        const read =
          before === 0 && this.#tokens.length === 0 && part.shared === true
            ? await this.#readShared(part, options)
            : await this.#extend(part, options);
        cachedTokens += read.cachedTokens;
        profileMs += read.profileMs;
        this.#tokens.push(...part.ids);
        if (part.probe?.kind === "replay") this.#request = part.probe.request;
      }
      // What an interrupt drops from here on is no longer the prompt's.
      await engine.backend.flush();
    } catch (error) {
      this.#unread(before);
      throw error;
    } finally {
      admitted.read();
    }
    this.#stale = false;
    return { queueMs, profileMs, cachedTokens, admitted };
  }

  /** Read a part, behind what has been drawn and not read yet. */
  async #extend({ ids, probe }: PromptPart, options: ReadOptions): Promise<Omit<ReadingReport, "queueMs">> {
    const { sequence } = this;
    const report = await extend(sequence, [...this.#tokens.slice(sequence.tokens.length), ...ids], probe, options);
    if (report.rows.source !== "none") this.#rows = report.rows;
    return { profileMs: report.profileMs, cachedTokens: 0 };
  }

  /** Take a part that another prompt has begun with from the prefix cache, or read it and leave a copy there. */
  async #readShared(part: PromptPart, options: ReadOptions): Promise<Omit<ReadingReport, "queueMs">> {
    const { prefixes } = this.model;
    const { policy, recovery } = this.settings;
    const key = prefixes.keyOf(part.ids, part.probe, policy, recovery);
    const found = prefixes.find(key);
    if (found !== null) {
      this.#replaceSequence(found.sequence.fork());
      this.#rows = found.rows;
      return { profileMs: 0, cachedTokens: part.ids.length };
    }
    const read = await this.#extend(part, options);
    await prefixes.keep(key, { sequence: this.sequence, rows: this.#rows });
    return read;
  }

  /** Wait for room, and have the cache on the device. */
  async #admit(size: PromptSize, signal: AbortSignal | undefined): Promise<Admitted> {
    const { engine } = this.model;
    engine.admission.rouse(this);
    const { policy } = this.settings;
    const admitted = await engine.admission.admit(() => promptNeed(engine, policy, this.#sequence, size), signal);
    this.#admitted = admitted;
    this.sequence.restore();
    return admitted;
  }

  /** Go back to the first `count` tokens; where there are more, the cache has read more as well. */
  #unread(count: number): void {
    if (this.#tokens.length > count) this.#stale = true;
    this.#tokens.length = count;
  }

  #replaceSequence(sequence: Sequence | null): void {
    this.#sweeper?.[Symbol.dispose]();
    if (this.#sequence !== null) {
      this.model.engine.admission.rouse(this);
      this.#sequence[Symbol.dispose]();
    }
    this.#sequence = sequence;
    this.#sweeper = null;
    this.#stale = false;
  }

  /** The cache is idle from now on. */
  #rest(): void {
    if (this.#sequence !== null) this.model.engine.admission.rest(this);
  }

  /** Take the session for one call; an abort from outside stops the device at once, where the call has it alone. */
  #acquire(signal: AbortSignal | undefined): () => void {
    if (this.#call !== "none") {
      throw new WinnowError("usage", "the session is busy with another call; wait for it, or make a second session");
    }
    this.#call = "waiting";
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
      this.#call = "none";
      this.#rest();
      this.#admitted?.[Symbol.dispose]();
      this.#admitted = null;
    };
  }
}
