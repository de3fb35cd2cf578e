import { WinnowError, rows, type Backend, type DeviceTensor, type SelectProgram } from "@winnow/core-tensor";
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
import { LlamaWorkspace } from "../models/llama";
import { rotationOf } from "../models/rope";
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
  readonly #step: StepBuffers;
  readonly #warned = new Set<string>();
  #scratchBytes = 0;

  constructor(
    readonly engine: Engine,
    readonly policy: CachePolicy,
  ) {
    const { backend, store } = engine;
    this.layers = store.layers.map((pool) => new LayerCache(backend, store, pool));
    this.flags = backend.allocate("u32", [engine.context], { label: "sequence.flags", category: "activations" });
    this.classes = engine.classes.fork();
    this.#step = new StepBuffers(engine);
    this.reserveTokenSets(policiesOf(policy.decision));
  }

  /** f32 [1, vocabulary]: what follows the newest token. */
  get logits(): DeviceTensor {
    return this.#step.logits;
  }

  /** u32 [1] and f32 [1]: where a sampled token and its log-probability go. */
  get drawn(): { readonly token: DeviceTensor; readonly logProbability: DeviceTensor } {
    return this.#step;
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
   * Read one generated token over the kept slots: its key and value are appended, and `logits` become those of
   * its row. Nothing is evicted here.
   */
  step(token: number): void {
    const { backend, llama, frequencies } = this.engine;
    this.expectRoom(1);
    const position = this.tokens.length;
    this.push([token]);
    const buffers = this.#step;
    backend.write(buffers.ids, Uint32Array.of(token));
    backend.write(buffers.positions, Uint32Array.of(position));
    backend.write(buffers.rotation, rotationOf([position], frequencies));
    const hidden = rows(buffers.hidden);
    llama.embed(rows(buffers.ids), hidden);
    llama.weights.layers.forEach((weights, l) => {
      const layer = this.layers[l];
      if (layer === undefined) return;
      layer.lengths.forEach((length, head) => {
        layer.resize(head, length + 1);
      });
      const qkv = llama.projectQkv(weights, hidden, buffers.workspace);
      const { heads } = llama.shape;
      const kv = layer.paged;
      backend.append({
        heads,
        qkv,
        rotation: rows(buffers.rotation),
        into: { kind: "pages", paged: kv, positions: rows(buffers.positions) },
      });
      const attended = rows(buffers.workspace.attended);
      backend.attend({
        heads,
        scale: 1 / Math.sqrt(heads.headDim),
        qkv,
        out: attended,
        groups: [{ start: 0, count: 1, paged: { kv, appended: 1 } }],
        accumulate: true,
      });
      llama.finishLayer(weights, attended, hidden, buffers.workspace);
    });
    llama.predict(hidden, rows(buffers.logits));
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
    this.#step[Symbol.dispose]();
  }
}

/** Memory that reading one token needs, allocated once for a sequence. */
class StepBuffers implements Disposable {
  readonly ids: DeviceTensor;
  readonly positions: DeviceTensor;
  readonly rotation: DeviceTensor;
  readonly hidden: DeviceTensor;
  readonly logits: DeviceTensor;
  readonly token: DeviceTensor;
  readonly logProbability: DeviceTensor;
  readonly workspace: LlamaWorkspace;

  constructor({ backend, llama }: Engine) {
    const { heads, width, vocabulary } = llama.shape;
    const make = (dtype: "f32" | "u32", shape: number[]): DeviceTensor => allocateStep(backend, dtype, shape);
    this.ids = make("u32", [1]);
    this.positions = make("u32", [1]);
    this.rotation = make("f32", [1, heads.headDim]);
    this.hidden = make("f32", [1, width]);
    this.logits = make("f32", [1, vocabulary]);
    this.token = make("u32", [1]);
    this.logProbability = make("f32", [1]);
    this.workspace = new LlamaWorkspace(backend, llama.shape, 1);
  }

  [Symbol.dispose](): void {
    this.workspace[Symbol.dispose]();
    const tensors = [
      this.ids,
      this.positions,
      this.rotation,
      this.hidden,
      this.logits,
      this.token,
      this.logProbability,
    ];
    for (const tensor of tensors) tensor[Symbol.dispose]();
  }
}

function allocateStep(backend: Backend, dtype: "f32" | "u32", shape: number[]): DeviceTensor {
  return backend.allocate(dtype, shape, { label: "step", category: "activations" });
}
