import { WinnowError, type DeviceTensor } from "@winnow/core-tensor";

import { extend } from "../cache/extend";
import { headPositions } from "../cache/head-copy";
import { fullSlotBytes, keptBytes } from "../cache/kept-bytes";
import { ObservedPrompt } from "../cache/observed-prompt";
import type { Sequence } from "../cache/sequence";
import { readToken } from "../cache/step";
import { StepBuffers } from "../cache/step-buffers";
import { Sweeper } from "../cache/sweep";
import { SweepCycle } from "../cache/sweep-cycle";
import type { GenerationReport } from "../generate/report";
import type { Model } from "../model";
import type { PromptPart } from "../prompt/prompt-part";
import { resolveSession } from "./resolve-policy";
import { Session, type ReadOptions } from "./session";
import type { SessionOptions } from "./session-options";
import type { SessionSettings } from "./session-settings";

/** What a cut leaves of a prompt's cache. */
export interface CutSize {
  /** Kept slots, over all layers and KV heads. */
  readonly slots: number;
  /** Of these slots with their columns, keys and values counted as f16 unless they are stored in less. */
  readonly bytes: number;
  /** Of the full cache's slots, in f16. */
  readonly fullBytes: number;
  /** Of the pages and columns in use, as the allocator counts them. */
  readonly allocatedBytes: number;
}

/**
 * A prompt that is read once and then cut in several ways, each by itself: what a policy costs can so be told on the very
 * same prompt, at the price of the answers alone. Until it is disposed of, nothing else may use the model.
 *
 * @example
 * ```ts
 * using comparison = await Comparison.read(model, part, [{ policy: "full" }, { policy: "snapkv", target: 0.5 }]);
 * using cut = await comparison.cut(1);
 * const rows = await cut.follow(question, answer); // logits for each token of the answer
 * ```
 */
export class Comparison implements Disposable {
  private constructor(
    private readonly model: Model,
    private readonly settings: readonly SessionSettings[],
    private readonly observed: ObservedPrompt,
  ) {}

  /**
   * @param asked the ways to cut.
   * @throws WinnowError `policy` or `usage` for options that a session would refuse, `context` when the prompt does not fit.
   */
  static async read(
    model: Model,
    part: PromptPart,
    asked: readonly SessionOptions[],
    options: ReadOptions = {},
  ): Promise<Comparison> {
    const settings = asked.map((one) => resolveSession(one, model));
    const policies = settings.map(({ policy }) => policy);
    return new Comparison(
      model,
      settings,
      await ObservedPrompt.read(model.engine, policies, part.ids, part.probe, options),
    );
  }

  /**
   * The prompt's cache, cut in one of the ways.
   *
   * @param way its number among those that were asked for.
   */
  async cut(way: number): Promise<CutPrompt> {
    const settings = this.settings[way];
    if (settings === undefined) {
      throw new WinnowError(
        "range",
        `a prompt was read for ${this.settings.length} ways to cut it, and way ${way} is asked for`,
      );
    }
    return new CutPrompt(this.model, await this.observed.cut(settings.policy), settings);
  }

  [Symbol.dispose](): void {
    this.observed[Symbol.dispose]();
  }
}

/** Rows of one extend that are certain not to be profiled again. */
const MOST_ROWS = 63;

/** The cache of a prompt, cut as one policy says. */
export class CutPrompt implements Disposable {
  /** A session that has taken the sequence over. */
  #session: Session | null = null;

  constructor(
    private readonly model: Model,
    readonly sequence: Sequence,
    private readonly settings: SessionSettings,
  ) {}

  get size(): CutSize {
    const { layers, engine, tokens } = this.sequence;
    const { layout } = engine.store;
    let slots = 0;
    let bytes = 0;
    for (const layer of layers) {
      for (const [head, length] of layer.lengths.entries()) {
        slots += length;
        bytes += keptBytes(layout, length, layer.columnsOf(head));
      }
    }
    return { slots, bytes, fullBytes: fullSlotBytes(layout, tokens.length), allocatedBytes: this.sequence.bytes };
  }

  /**
   * What each head has kept: the positions of its slots, by layer and KV head.
   *
   * @example
   * ```ts
   * const [firstLayer = []] = await cut.positions();
   * firstLayer.map((kept) => kept.length); // slots of each KV head
   * ```
   */
  positions(): Promise<readonly (readonly Uint32Array[])[]> {
    const { layers, engine } = this.sequence;
    const { backend, store } = engine;
    return Promise.all(
      layers.map((layer) =>
        Promise.all(layer.lengths.map((_, head) => headPositions(backend, layer, head, store.layout))),
      ),
    );
  }

  /**
   * Read on, and tell what was thought to follow: teacher-forced, in as few steps as the policy's sweeps and checks allow.
   *
   * @param before tokens in between, which nobody asks about.
   * @param answer at least one token.
   * @returns logits f32 [vocabulary] for each token of the answer, of the row before it.
   */
  async follow(before: readonly number[], answer: readonly number[]): Promise<Float32Array[]> {
    if (this.settings.policy.drift === "upgrade") {
      if (before.length > 0) await extend(this.sequence, before, null, {});
      return this.#followChecked(answer);
    }
    const { sequence } = this;
    const { vocabulary } = sequence.engine.decoder.shape;
    const found: Float32Array[] = before.length === 0 ? [await rowOf(sequence, sequence.logits)] : [];
    const ids = [...before, ...answer.slice(0, -1)];
    // A question is read as a session reads it: whole, and swept behind it.
    const steps = [before, ...chunksOf(answer.slice(0, -1), this.#stepRows)].filter((step) => step.length > 0);
    let read = 0;
    for (const step of steps) {
      const from = Math.max(0, before.length - 1 - read);
      if (from < step.length) {
        const onLogits = (_: number, logits: Float32Array): void => {
          for (let at = 0; at < logits.length; at += vocabulary) found.push(logits.slice(at, at + vocabulary));
        };
        await extend(sequence, step, null, { score: { from, onLogits } });
      } else {
        await extend(sequence, step, null, {});
      }
      read += step.length;
    }
    if (found.length !== answer.length) {
      throw new WinnowError(
        "range",
        `${ids.length} tokens were read for ${answer.length}, and ${found.length} rows came`,
      );
    }
    return found;
  }

  /**
   * Read on and write an answer, taking the likeliest token each time. Nothing can be asked of the cut afterwards.
   *
   * @param before tokens in between.
   */
  write(
    before: readonly number[],
    options: { readonly maxTokens: number; readonly signal?: AbortSignal | undefined },
  ): Promise<GenerationReport> {
    this.#session ??= new Session(this.model, this.settings);
    this.#session.restore(this.sequence, this.sequence.tokens);
    const parts = before.length === 0 ? [] : [{ ids: before, probe: null }];
    return this.#session.generate(parts, { ...options, temperature: 0 }).report();
  }

  [Symbol.dispose](): void {
    if (this.#session === null) this.sequence[Symbol.dispose]();
    else this.#session[Symbol.dispose]();
  }

  /** Checks look at the newest row alone, so tokens are read one by one, as when they are written. */
  async #followChecked(answer: readonly number[]): Promise<Float32Array[]> {
    const { sequence } = this;
    const { backend } = sequence.engine;
    using sweeper = new Sweeper(sequence);
    const cycle = new SweepCycle(sweeper, this.settings.interval);
    const found = [await rowOf(sequence, sequence.logits)];
    using buffers = new StepBuffers(sequence.engine, 1);
    for (const id of answer.slice(0, -1)) {
      readToken(sequence, id, buffers);
      const enqueued = await cycle.afterToken();
      found.push(await rowOf(sequence, sequence.logits));
      enqueued?.settle(await backend.download(enqueued.numbers));
    }
    return found;
  }

  get #stepRows(): number {
    const { policy, interval } = this.settings;
    return policy.generated === "sweep" ? Math.min(interval, MOST_ROWS) : MOST_ROWS;
  }
}

async function rowOf({ engine }: Sequence, logits: DeviceTensor): Promise<Float32Array> {
  return Float32Array.from(await engine.backend.download(logits));
}

function chunksOf(ids: readonly number[], size: number): (readonly number[])[] {
  const chunks: (readonly number[])[] = [];
  for (let at = 0; at < ids.length; at += size) chunks.push(ids.slice(at, at + size));
  return chunks;
}
