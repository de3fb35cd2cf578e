import {
  NO_PAGE,
  STORED_COLUMNS,
  WinnowError,
  bytesOf,
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
import type { Fitted } from "./byte-target";
import type { CachePolicy } from "./cache-policy";
import { policiesOf } from "./decision";
import type { DraftRows } from "./draft-rows";
import type { DriftCounts } from "./drift";
import { copyLayer } from "./copy-layer";
import type { KvNeed } from "./kv-need";
import { fullCacheBytes, type KvStore } from "./kv-store";
import { LayerCache } from "./layer-cache";
import { KEEP_ALL, withinWindow } from "./within-window";
import { parkLayer, restoreLayer, type ParkedLayer } from "./parked-layer";

/** What one KV head does, since the last time its prompt was cut. */
export interface HeadState {
  readonly policy: Policy;
  /** Its place among the candidates, or the share that it keeps by the greatest weight, in millionths; 0 where nobody chose. */
  readonly candidate: number;
  readonly recovery: number | null;
  /** Every candidate as it was priced; empty where nothing was searched. */
  readonly measured: readonly CandidateReport[];
  /** Where the head's attention goes; null where nothing was profiled. */
  readonly attention: AttentionShares | null;
  /** Sweeps in a row that were put off for it, because what it attends to drifts; 0 where it was given another policy since. */
  readonly delays: number;
  /** Slots after the cut. */
  readonly kept: number;
}

/** Rows of the column table are bound by layer: so many entries of each column keep a row's bytes a multiple of 256. */
const COLUMN_TABLE_STEP = 32;

function columnTableShape({ layout }: KvStore): number[] {
  const { layers, heads, context, pageSlots } = layout;
  const pages = Math.ceil(context / pageSlots / COLUMN_TABLE_STEP) * COLUMN_TABLE_STEP;
  return [layers * heads.kvHeads, STORED_COLUMNS.length, pages];
}

/** Bytes of a sequence's tables, which do not depend on what it holds. */
export function tableBytes(store: KvStore): number {
  const { layers, heads, context, pageSlots } = store.layout;
  const tableOfLayer = heads.kvHeads * (Math.ceil(context / pageSlots) + 1);
  return bytesOf("u32", elementCount(columnTableShape(store)) + layers * tableOfLayer);
}

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
  /** What met the policy's target when the first prompt was cut; null before, and without a target. */
  fitted: Fitted | null = null;
  /** Null where drift is ignored. */
  drift: DriftCounts | null;
  /** u32 [context]: class bits by position. */
  readonly flags: DeviceTensor;
  /** The tokenizer's classes, and those of the token sets that the sequence's policies name. */
  readonly classes: TokenClasses;
  /** u32 [layers · kvHeads, columns, pages]; null while the slots are on the host. */
  #columnTable: DeviceTensor | null = null;
  /** u32 [1] and f32 [1]: where a sampled token and its log-probability go. */
  readonly drawn: { readonly token: DeviceTensor; readonly logProbability: DeviceTensor };
  #logits: DeviceTensor;
  #logitsAhead: DeviceTensor;
  #draft: DraftRows | null = null;
  #disposed = false;
  readonly #warned = new Set<string>();
  #scratchBytes = 0;
  /** The slots by layer, while they are on the host. */
  #parked: readonly ParkedLayer[] | null = null;

  constructor(
    readonly engine: Engine,
    readonly policy: CachePolicy,
  ) {
    const { backend, store } = engine;
    this.drift = policy.drift === "ignore" ? null : { delayed: 0, upgraded: 0 };
    this.layers = store.layers.map((pool) => new LayerCache(backend, store, pool));
    this.#openTables();
    this.flags = backend.allocate("u32", [engine.context], { label: "sequence.flags", category: "activations" });
    this.classes = engine.classes.fork();
    const make = (dtype: "f32" | "u32", shape: number[]): DeviceTensor =>
      backend.allocate(dtype, shape, { label: "step", category: "activations" });
    this.drawn = { token: make("u32", [1]), logProbability: make("f32", [1]) };
    this.#logits = make("f32", [1, engine.decoder.shape.vocabulary]);
    this.#logitsAhead = make("f32", [1, engine.decoder.shape.vocabulary]);
    this.reserveTokenSets(policiesOf(policy.decision));
  }

  /** f32 [1, vocabulary]: what follows the newest token. */
  get logits(): DeviceTensor {
    return this.#logits;
  }

  /** Guessed tokens that are read behind the one that was drawn; null for none. */
  get draft(): DraftRows | null {
    return this.#draft;
  }

  /** f32 [1, vocabulary]: what follows the token that is read ahead. */
  get logitsAhead(): DeviceTensor {
    return this.#logitsAhead;
  }

  /** Bytes of the pages and columns in use, and of the scratch while a prompt is read. */
  get bytes(): number {
    return this.layers.reduce((sum, layer) => sum + layer.bytes, this.#scratchBytes);
  }

  /** Bytes of the scratch while a prompt is read. */
  get scratchBytes(): number {
    return this.#scratchBytes;
  }

  /** Whether its slots are on the host. */
  get parked(): boolean {
    return this.#parked !== null;
  }

  /** What so many more tokens take. */
  growth(count = 1): KvNeed {
    const growths = this.layers.map((layer) => layer.growth(count));
    return {
      pages: growths.map(({ pages }) => pages),
      columnPages: growths.reduce((sum, { columnPages }) => sum + columnPages, 0),
      bytes: 0,
    };
  }

  /** What its slots and tables take, whether they are on the device or on the host. */
  get held(): KvNeed {
    const layers = this.#parked ?? this.layers;
    return {
      pages: layers.map(({ pageCount }) => pageCount),
      columnPages: layers.reduce((sum, { columnPageCount }) => sum + columnPageCount, 0),
      bytes: tableBytes(this.engine.store),
    };
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
      columnTable: this.#openedColumnTable,
      pending: this.layers.some(({ pending }) => pending),
    };
  }

  /** What a policy's ratios refer to now. */
  compileContext(scores: ScoreTable): CompileContext {
    return {
      promptTokens: this.promptTokens,
      length: this.tokens.length,
      kvHeads: this.engine.decoder.shape.heads.kvHeads,
      classes: this.classes,
      scores,
    };
  }

  /** What each head keeps as things stand now, for a selection over all layers. */
  programs(scores: ScoreTable): SelectProgram[][] {
    const context = this.compileContext(scores);
    const known = new Map<string, SelectProgram>();
    return this.heads.map((layer, l) =>
      layer.map(({ policy }) => {
        const program =
          this.policy.generated === "keep" ? KEEP_ALL : (known.get(policy.text) ?? compile(policy, context));
        known.set(policy.text, program);
        return withinWindow(program, this.windowOf(l));
      }),
    );
  }

  /** Positions that the rows of a layer see, themselves included; null for all. */
  windowOf(layer: number): number | null {
    return this.engine.store.layout.windows[layer] ?? null;
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

  /**
   * Have guessed tokens read behind the next one, for which there is room already.
   *
   * @throws WinnowError `context` when they do not fit, `disposed`
   */
  draftBehind(draft: DraftRows): void {
    this.expectOpen();
    this.expectRoom(1 + draft.tokens.length);
    for (const layer of this.layers) layer.grow(draft.tokens.length);
    this.#draft = draft;
    // Pages that a wrong guess takes are given back soon, and were in use all the same.
    this.noteBytes(this.#scratchBytes);
  }

  /**
   * The first of the tokens that were read ahead are these: one, or more of a draft. What was read behind them is forgotten,
   * and leaves nothing.
   *
   * @throws WinnowError `disposed`
   */
  accept(tokens: readonly number[]): void {
    this.expectOpen();
    const draft = this.#draft;
    const wrong = 1 + (draft?.tokens.length ?? 0) - tokens.length;
    if (wrong > 0) for (const layer of this.layers) layer.takeBack(wrong);
    this.#draft = null;
    if (tokens.length === 0) {
      // The weights of the row before the first were added when it came.
      for (const layer of this.layers) layer.pending = false;
      return;
    }
    draft?.commit(this.layers, this.tokens.length + 1, tokens.length - 1);
    this.push(tokens);
    if (draft === null || tokens.length === 1) {
      [this.#logits, this.#logitsAhead] = [this.#logitsAhead, this.#logits];
    } else {
      this.engine.backend.copy(rows(draft.logits, tokens.length - 2, 1), rows(this.#logits));
    }
    this.noteBytes(this.#scratchBytes);
  }

  /**
   * Forget what was read ahead.
   *
   * @throws WinnowError `disposed`
   */
  takeBack(): void {
    this.accept([]);
  }

  /**
   * A second sequence that has read the same, with slots of its own.
   *
   * @param policy what it goes by from now on.
   * @throws WinnowError `memory` when the budget has no room for them.
   */
  fork(policy = this.policy): Sequence {
    const { backend, store } = this.engine;
    const fork = new Sequence(this.engine, policy);
    try {
      fork.fitted = this.fitted;
      if (fork.drift !== null && this.drift !== null) fork.drift = this.drift;
      fork.heads = this.heads.map((layer) => [...layer]);
      fork.push(this.tokens);
      fork.reserveTokenSets(this.heads.flat().map(({ policy }) => policy));
      fork.promptTokens = this.promptTokens;
      if (this.#parked === null) {
        this.layers.forEach((layer, l) => {
          const other = fork.layers[l];
          if (other !== undefined) copyLayer(backend, layer, other, store.layout.pageSlots);
        });
      } else {
        fork.#closeTables();
        fork.#parked = this.#parked;
      }
      backend.copy(rows(this.logits), rows(fork.logits));
      fork.noteBytes(0);
      return fork;
    } catch (error) {
      fork[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Move the slots to the host, so that others have their pages. Nothing may be under way on the sequence until
   * {@link restore} has brought them back.
   */
  async park(): Promise<void> {
    if (this.#parked !== null) return;
    const { backend, store } = this.engine;
    const parked: ParkedLayer[] = [];
    for (const layer of this.layers) parked.push(await parkLayer(backend, layer, store.layout.pageSlots));
    if (this.#disposed) return;
    this.#parked = parked;
    this.#closeTables();
  }

  /**
   * Bring the slots back from the host, to the bit as they were.
   *
   * @throws WinnowError `memory` when the budget has no room for them; they are then still on the host.
   */
  restore(): void {
    if (this.#parked === null) return;
    const { backend, store } = this.engine;
    this.#openTables();
    try {
      this.#parked.forEach((parked, l) => {
        const layer = this.layers[l];
        if (layer !== undefined) restoreLayer(backend, parked, layer, store.layout.pageSlots);
      });
    } catch (error) {
      this.#closeTables();
      throw error;
    }
    this.#parked = null;
    this.noteBytes(this.#scratchBytes);
  }

  report(): KvReport {
    return {
      bytes: this.bytes,
      tokens: this.tokens.length,
      fullBytes: fullCacheBytes(this.engine.store.layout, this.tokens.length),
      peakBytes: this.peakBytes,
      kept: this.layers.map(({ lengths }, l) => lengths.map((_, head) => this.heads[l]?.[head]?.kept ?? 0)),
      slots: this.layers.map((layer) => layer.lengths),
      // What has not been cut follows no policy yet: nothing of it is kept.
      plan: this.layers.map(({ lengths }, l) => lengths.map((_, head) => this.heads[l]?.[head]?.policy.text ?? "none")),
      recovery: this.layers.map(({ lengths }, l) => lengths.map((_, head) => this.heads[l]?.[head]?.recovery ?? null)),
      drift: this.drift,
    };
  }

  [Symbol.dispose](): void {
    this.#closeTables();
    this.flags[Symbol.dispose]();
    const { token, logProbability } = this.drawn;
    for (const tensor of [token, logProbability, this.#logits, this.#logitsAhead]) tensor[Symbol.dispose]();
    this.#disposed = true;
    this.#parked = null;
    this.engine.admission.freed();
  }

  #openTables(): void {
    const { backend, store } = this.engine;
    const { kvHeads } = store.layout.heads;
    const shape = columnTableShape(store);
    const table = backend.allocate("u32", shape, { label: "kv.tables", category: "kv" });
    this.#columnTable = table;
    backend.write(table, new Uint32Array(elementCount(shape)).fill(NO_PAGE));
    this.layers.forEach((layer, l) => {
      layer.open(rows(table, l * kvHeads, kvHeads));
    });
  }

  #closeTables(): void {
    for (const layer of this.layers) layer.close();
    this.#columnTable?.[Symbol.dispose]();
    this.#columnTable = null;
  }

  get #openedColumnTable(): DeviceTensor {
    if (this.#columnTable === null)
      throw new WinnowError("disposed", "a cache is used whose slots are not on the device");
    return this.#columnTable;
  }
}
