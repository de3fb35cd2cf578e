import {
  WinnowError,
  expectKvType,
  fitsKvType,
  type Backend,
  type KvType,
  type SamplingParams,
} from "@winnow/core-tensor";
import { TokenClasses } from "@winnow/kv-policies";
import type { ModelFingerprint } from "@winnow/profiler";

import { throwIfAborted } from "./abort";
import { Admission } from "./cache/admission";
import { KvBudget } from "./cache/kv-budget";
import { KvStore, defaultPageSlots, expectPageSlots } from "./cache/kv-store";
import { PrefixCache, type PrefixCounts } from "./cache/prefix-cache";
import type { Engine } from "./engine";
import { openCheckpoint } from "./checkpoint/open-checkpoint";
import type { ModelConfig } from "./files/config";
import type { ModelFiles } from "./files/model-files";
import { StepRounds } from "./generate/step-rounds";
import { loadDecoder } from "./models/load-decoder";
import { rotariesOf } from "./models/rotaries";
import { platform } from "./platform/node";
import { resolveSession } from "./session/resolve-policy";
import { Session } from "./session/session";
import type { SessionOptions } from "./session/session-options";
import { Turns } from "./turns";
import { checkTokenizerFits, type ChatTemplate, type Tokenizer } from "./tokenizer";

/** Rows of a prompt that are read at a time in one layer: few enough that answers under way do not wait for long. */
const UNIT_ROWS = { cpu: 96, webgpu: 256 } as const;

export interface LoadOptions {
  /**
   * Where the model runs; the CPU backend unless told otherwise. The model disposes of it. Given as a function, it is opened
   * when the model's configuration and tokenizer were found to be good, and disposed of should loading fail behind that.
   */
  readonly backend?: Backend | (() => Promise<Backend>) | undefined;
  /**
   * The longest sequence, in tokens, up to what the model allows. Rotations that depend on a length (`dynamic`, LongRoPE)
   * depend on this one. Default: the model's.
   */
  readonly context?: number | undefined;
  /** Slots a page: a power of two from 8 to 256. Default: 16 for contexts up to 4,096 tokens, 64 above. */
  readonly pageSlots?: number | undefined;
  /** How the cache stores keys and values. Default: f16 on WebGPU, where heads allow it, and f32 on the CPU. f16 needs WebGPU. */
  readonly kvType?: KvType | undefined;
  /**
   * Bytes that the caches of all sessions may take together. Prompts wait for room; where answers have none for their next
   * token, idle sessions and then the youngest answers move to the host until there is. Default: no limit.
   */
  readonly kvBudgetBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called as layers are loaded. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Load a model: a directory in Hugging Face layout (`config.json`, `tokenizer.json`, `model.safetensors` or its shards), or a
 * GGUF file, of one that was split the first part.
 *
 * @param place the model's directory or file, in a browser its URL; or its files in that layout, from wherever they are.
 * @throws WinnowError `file`, `model`, `tokenizer` or `numeric` when something is missing, damaged or does not fit.
 * @example
 * ```ts
 * using model = await loadModel("models/demo");
 * using session = model.createSession({ policy: "adaptive" });
 * const { text, kv } = await session.generate([textPart(model.tokenizer, "Once upon a time", true)]).report();
 * ```
 */
export async function loadModel(place: string | ModelFiles, options: LoadOptions = {}): Promise<Model> {
  const started = performance.now();
  await using checkpoint = await openCheckpoint(place);
  const config = limitContext(await checkpoint.config(), options.context);
  const pageSlots = options.pageSlots ?? defaultPageSlots(config.context);
  expectPageSlots(pageSlots);
  const tokenizer = await checkpoint.tokenizer();
  checkTokenizerFits(tokenizer, config);
  const template = await checkpoint.template();
  const generation = await checkpoint.generation();
  await using weights = await checkpoint.weights();
  const { backend: asked = () => platform.openCpu({}) } = options;
  const isOpened = typeof asked === "function";
  throwIfAborted(options.signal, "loading the model");
  const backend = isOpened ? await asked() : asked;
  try {
    const decoder = await loadDecoder(weights, config, backend, options);
    const heads = { queryHeads: config.queryHeads, kvHeads: config.kvHeads, headDim: config.headDim };
    const kvType = resolveKvType(options.kvType, backend, config.headDim);
    const { layers, context } = config;
    // A window that sees the whole context is none.
    const windows = decoder.shape.windows.map((window) => (window !== null && window < context ? window : null));
    const layout = { layers, windows, heads, kvType, pageSlots, context };
    const store = new KvStore(backend, layout, new KvBudget(backend, options.kvBudgetBytes ?? Infinity));
    const engine: Engine = {
      backend,
      decoder,
      rotaries: rotariesOf(config, config.context),
      classes: new TokenClasses(tokenizer.vocabulary()),
      context: config.context,
      unitRows: UNIT_ROWS[backend.name],
      store,
      admission: new Admission(store),
      calls: new Set(),
    };
    await backend.flush();
    return new Model({
      dir: checkpoint.path,
      config,
      tokenizer,
      template,
      engine,
      eosIds: new Set(generation.eosIds.length > 0 ? generation.eosIds : config.eosIds),
      samplingDefaults: { ...generation.sampling, seed: 0 },
      loadMs: performance.now() - started,
    });
  } catch (error) {
    if (isOpened) backend[Symbol.dispose]();
    throw error;
  }
}

/** @throws WinnowError `usage` for a context that the model has not. */
function limitContext(config: ModelConfig, context: number | undefined): ModelConfig {
  if (context === undefined) return config;
  if (!Number.isInteger(context) || context < 1 || context > config.context) {
    throw new WinnowError(
      "usage",
      `a context of ${context} tokens; expected a whole number from 1 to ${config.context}, the model's own`,
    );
  }
  return { ...config, context };
}

/** What the caches of a model's sessions take. */
export interface CacheUse {
  /** Null where there is no limit. */
  readonly budgetBytes: number | null;
  /** Bytes of the buffers that exist: slabs, columns, tables, scratch. */
  readonly reservedBytes: number;
  /** Bytes of the pages and columns in use. */
  readonly bytes: number;
  readonly prefixes: PrefixCounts;
}

interface ModelParts {
  readonly dir: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate | null;
  readonly engine: Engine;
  readonly eosIds: ReadonlySet<number>;
  readonly samplingDefaults: SamplingParams;
  readonly loadMs: number;
}

/** A loaded model: sessions run on it. Made by {@link loadModel}. */
export class Model implements Disposable {
  /** Where it was loaded from: a directory, a GGUF file, or a URL. */
  readonly dir: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** Null where the model has none: prompts are then raw text. */
  readonly template: ChatTemplate | null;
  readonly engine: Engine;
  readonly eosIds: ReadonlySet<number>;
  readonly samplingDefaults: SamplingParams;
  readonly loadMs: number;
  /** Where answers that are written at the same time meet. */
  readonly rounds: StepRounds;
  /** Prompts are read one at a time, so that one layer of one of them is uncut. */
  readonly reading = new Turns();
  /** Parts that prompts begin with; kept where there is a KV budget. */
  readonly prefixes: PrefixCache;

  constructor(parts: ModelParts) {
    this.dir = parts.dir;
    this.config = parts.config;
    this.tokenizer = parts.tokenizer;
    this.template = parts.template;
    this.engine = parts.engine;
    this.eosIds = parts.eosIds;
    this.samplingDefaults = parts.samplingDefaults;
    this.loadMs = parts.loadMs;
    this.rounds = new StepRounds(parts.engine);
    this.prefixes = new PrefixCache(parts.engine.admission);
  }

  /** What the caches of all sessions take. */
  get cache(): CacheUse {
    const { store } = this.engine;
    return {
      budgetBytes: this.engine.admission.limited ? store.budget.bytes : null,
      reservedBytes: store.budget.used,
      bytes: store.liveBytes,
      prefixes: this.prefixes.counts,
    };
  }

  /** What a head plan has to agree with. */
  get fingerprint(): ModelFingerprint {
    const { layers, queryHeads, kvHeads, headDim } = this.config;
    return {
      layers,
      queryHeads,
      kvHeads,
      headDim,
      vocabularySize: this.tokenizer.size,
      tokenizer: this.tokenizer.fingerprint,
    };
  }

  /**
   * @throws WinnowError `policy`, `plan` or `usage` when an option is out of range or does not fit the model.
   */
  createSession(options: SessionOptions = {}): Session {
    return new Session(this, resolveSession(options, this));
  }

  [Symbol.dispose](): void {
    this.prefixes[Symbol.dispose]();
    this.engine.store[Symbol.dispose]();
    this.engine.backend[Symbol.dispose]();
  }
}

/** @throws WinnowError `usage` when the backend or the model's heads do not allow the type. */
function resolveKvType(asked: KvType | undefined, backend: Backend, headDim: number): KvType {
  if (asked === undefined) return backend.name === "webgpu" && fitsKvType("f16", headDim) ? "f16" : "f32";
  if (asked === "f16" && backend.name === "cpu") {
    throw new WinnowError("usage", "a cache in f16 needs WebGPU; the CPU backend stores f32, q8 and q4");
  }
  expectKvType(asked, headDim, "usage");
  return asked;
}
