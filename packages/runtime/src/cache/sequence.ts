import {
  NO_PAGE,
  STORED_COLUMNS,
  WinnowError,
  elementCount,
  rows,
  type DeviceTensor,
  type PagedSlots,
  type SelectProgram,
} from "@winnow/core-tensor";
import {
  compile,
  tokenSetsOf,
  type CompileContext,
  type Policy,
  type ScoreTable,
  type TokenClasses,
} from "@winnow/kv-policies";
import type { AttentionShares, CandidateReport } from "@winnow/profiler";

import type { Engine } from "../engine";
import type { KvReport } from "../generate/report";
import { platform } from "../platform/node";
import { policiesOf, type CachePolicy } from "./cache-policy";
import { fullCacheBytes } from "./kv-store";
import { LayerCache } from "./layer-cache";

/** What one KV head does, since the last time its prompt was cut. */
export interface HeadState {
  readonly policy: Policy;
  /** Its place among the candidates; 0 where nobody chose. */
  readonly candidate: number;
  readonly recovery: number | null;
  /** Every candidate as it was priced; empty where nothing was searched. */
  readonly measured: readonly CandidateReport[];
  /** Where the head's attention goes; null where nothing was profiled. */
  readonly attention: AttentionShares | null;
  /** Slots after the cut. */
  readonly kept: number;
}

/** Rows of the column table are bound by layer: so many entries of each column keep a row's bytes a multiple of 256. */
const COLUMN_TABLE_STEP = 32;

/** One token sequence with its cache: the tokens read so far, and what each head has kept of them. */
export class Sequence implements Disposable {
  readonly layers: readonly LayerCache[];
  /** By layer and KV head; empty before the first prompt. */
  heads: HeadState[][] = [];
  /** Every token read, evicted ones included; its length is the next token's position. */
  readonly tokens: number[] = [];
  /** How many of them came as prompts. */
  promptTokens = 0;
  peakBytes = 0;
  /** u32 [context]: class bits by position. */
  readonly flags: DeviceTensor;
  /** The tokenizer's classes, and those of the token sets that the sequence's policies name. */
  readonly classes: TokenClasses;
  readonly #columnTable: DeviceTensor;
  /** u32 [1] and f32 [1]: where a sampled token and its log-probability go. */
  readonly drawn: { readonly token: DeviceTensor; readonly logProbability: DeviceTensor };
  #logits: DeviceTensor;
  #logitsAhead: DeviceTensor;
  #disposed = false;
  readonly #warned = new Set<string>();
  #scratchBytes = 0;

  constructor(
    readonly engine: Engine,
    readonly policy: CachePolicy,
  ) {
    const { backend, store } = engine;
    const { kvHeads } = store.layout.heads;
    const pages = Math.ceil(engine.context / store.layout.pageSlots / COLUMN_TABLE_STEP) * COLUMN_TABLE_STEP;
    const shape = [store.layers.length * kvHeads, STORED_COLUMNS.length, pages];
    this.#columnTable = backend.allocate("u32", shape, { label: "kv.tables", category: "kv" });
    backend.write(this.#columnTable, new Uint32Array(elementCount(shape)).fill(NO_PAGE));
    this.layers = store.layers.map(
      (pool, l) => new LayerCache(backend, store, pool, rows(this.#columnTable, l * kvHeads, kvHeads)),
    );
    this.flags = backend.allocate("u32", [engine.context], { label: "sequence.flags", category: "activations" });
    this.classes = engine.classes.fork();
    const make = (dtype: "f32" | "u32", shape: number[]): DeviceTensor =>
      backend.allocate(dtype, shape, { label: "step", category: "activations" });
    this.drawn = { token: make("u32", [1]), logProbability: make("f32", [1]) };
    this.#logits = make("f32", [1, engine.llama.shape.vocabulary]);
    this.#logitsAhead = make("f32", [1, engine.llama.shape.vocabulary]);
    this.reserveTokenSets(policiesOf(policy.decision));
  }

  /** f32 [1, vocabulary]: what follows the newest token. */
  get logits(): DeviceTensor {
    return this.#logits;
  }

  /** f32 [1, vocabulary]: what follows the token that is read ahead. */
  get logitsAhead(): DeviceTensor {
    return this.#logitsAhead;
  }

  /** Bytes of the pages and columns in use, and of the scratch while a prompt is read. */
  get bytes(): number {
    return this.layers.reduce((sum, layer) => sum + layer.bytes, this.#scratchBytes);
  }

  /** Tell something that the caller should know, once. */
  warnOnce(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    platform.warn(message);
  }

  /** Say how many bytes of scratch there are now, and remember the peak. */
  noteBytes(scratchBytes: number): void {
    this.#scratchBytes = scratchBytes;
    this.peakBytes = Math.max(this.peakBytes, this.bytes);
  }

  /** @throws WinnowError `disposed` */
  expectOpen(): void {
    if (this.#disposed) throw new WinnowError("disposed", "the session was closed while it was in use");
  }

  /** @throws WinnowError `context` when so many more tokens do not fit. */
  expectRoom(count: number): void {
    const { context } = this.engine;
    if (this.tokens.length + count > context) {
      throw new WinnowError(
        "context",
        `${this.tokens.length + count} tokens do not fit in the model's context of ${context}; shorten the prompt`,
      );
    }
  }

  /** Take note of tokens whose rows are about to be computed. */
  push(ids: readonly number[]): void {
    this.engine.backend.write(this.flags, this.classes.flagsOf(ids), this.tokens.length);
    for (const id of ids) this.tokens.push(id);
  }

  /**
   * Give the token sets that policies name their class bits, and the tokens read so far those bits.
   *
   * @returns whether there were new ones.
   */
  reserveTokenSets(policies: readonly Policy[]): boolean {
    const added = this.classes.reserve(policies.flatMap(tokenSetsOf));
    if (added) this.engine.backend.write(this.flags, this.classes.flagsOf(this.tokens));
    return added;
  }

  /** The kept slots of all layers where they lie, at most `capacity` a head. */
  pagedSlots(capacity: number): PagedSlots {
    const { store } = this.engine;
    const counts = this.layers.flatMap(({ lengths }) => lengths);
    return {
      kind: "pages",
      rowCount: counts.length,
      capacity,
      counts,
      flags: this.flags,
      pageSlots: store.layout.pageSlots,
      columns: store.columns.buffer,
      columnTable: this.#columnTable,
      pending: this.layers.some(({ pending }) => pending),
    };
  }

  /** What a policy's ratios refer to now. */
  compileContext(scores: ScoreTable): CompileContext {
    return {
      promptTokens: this.promptTokens,
      length: this.tokens.length,
      kvHeads: this.engine.llama.shape.heads.kvHeads,
      classes: this.classes,
      scores,
    };
  }

  /** Each head's policy as it stands now, for a selection over all layers. */
  programs(scores: ScoreTable): SelectProgram[][] {
    const context = this.compileContext(scores);
    const known = new Map<string, SelectProgram>();
    return this.heads.map((layer) =>
      layer.map(({ policy }) => {
        const program = known.get(policy.text) ?? compile(policy, context);
        known.set(policy.text, program);
        return program;
      }),
    );
  }

  /**
   * Make room for one more token.
   *
   * @throws WinnowError `context` when it does not fit, `disposed`
   */
  grow(): void {
    this.expectOpen();
    this.expectRoom(1);
    for (const layer of this.layers) layer.grow();
  }

  /** The token that was read ahead is this one. */
  accept(token: number): void {
    this.push([token]);
    [this.#logits, this.#logitsAhead] = [this.#logitsAhead, this.#logits];
    this.noteBytes(this.#scratchBytes);
  }

  /** Forget the token that was read ahead. */
  takeBack(): void {
    for (const layer of this.layers) layer.takeBack();
  }

  report(): KvReport {
    return {
      bytes: this.bytes,
      fullBytes: fullCacheBytes(this.engine.store.layout, this.tokens.length),
      peakBytes: this.peakBytes,
      kept: this.layers.map(({ lengths }, l) => lengths.map((_, head) => this.heads[l]?.[head]?.kept ?? 0)),
      slots: this.layers.map((layer) => layer.lengths),
      // What has not been cut follows no policy yet: nothing of it is kept.
      plan: this.layers.map(({ lengths }, l) => lengths.map((_, head) => this.heads[l]?.[head]?.policy.text ?? "none")),
      recovery: this.layers.map(({ lengths }, l) => lengths.map((_, head) => this.heads[l]?.[head]?.recovery ?? null)),
    };
  }

  [Symbol.dispose](): void {
    for (const layer of this.layers) layer[Symbol.dispose]();
    this.flags[Symbol.dispose]();
    this.#columnTable[Symbol.dispose]();
    const { token, logProbability } = this.drawn;
    for (const tensor of [token, logProbability, this.#logits, this.#logitsAhead]) tensor[Symbol.dispose]();
    this.#disposed = true;
  }
}
