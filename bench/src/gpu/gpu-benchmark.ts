import { appendFile, writeFile } from "node:fs/promises";

import { WinnowError } from "@winnow/core-tensor";
import { createWebGpuBackend, requestGpu, type Gpu } from "@winnow/gpu-backend";
import { idsPart, loadModel, type Model } from "@winnow/runtime";

import type { GpuBenchmarkOptions } from "../arguments";
import { thisMachine } from "../machine";
import { repositoryRoot } from "../repository";
import { measureDecodeAttention, measurePromptAttention } from "./attention";
import { measureCeilings } from "./ceilings";
import { fillCache } from "./filled-cache";
import { formatResult } from "./format-result";
import { HostClock } from "./host-clock";
import { measureProducts } from "./products";
import { randomTensor } from "./random-data";
import {
  significant,
  type Ceilings,
  type GpuBenchmarkResult,
  type OperationRow,
  type PromptRow,
  type ShapeResult,
  type Skipped,
  type TokenRow,
} from "./result";
import { ShapeBench } from "./shape-bench";
import { SHAPES, filesOf, whySkipped, type ModelShape } from "./shapes";
import { Stopwatch } from "./stopwatch";
import { measureTokens } from "./tokens";
import { sampleWork } from "./work";

/** How much is measured: a software adapter gets by with less. */
interface Extent {
  /** Rows of products and of a prompt's attention. */
  readonly rows: readonly number[];
  /** Tokens of a prompt that is read under each of the policies. */
  readonly prompt: number;
  readonly policies: readonly string[];
  /** Slots of full caches that tokens are written behind. */
  readonly contexts: readonly number[];
  readonly tokens: number;
}

const POLICIES = ["full", "heavy-hitter", "fastgen"];

function extentOf(model: Model, software: boolean): Extent {
  if (software) return { rows: [1, 64], prompt: 128, policies: POLICIES, contexts: [256], tokens: 16 };
  const fits = (tokens: number): boolean => tokens + 200 <= model.config.context;
  return {
    rows: [1, 8, 512],
    prompt: fits(2048) ? 2048 : 768,
    policies: POLICIES,
    contexts: [512, 8192, 32_768].filter(fits),
    tokens: 64,
  };
}

/**
 * Measure the adapter's ceilings, and each shape's operations, prompts and tokens against them.
 *
 * @throws WinnowError `backend` without an adapter, `file` when `out` cannot be written.
 */
export async function runGpuBenchmark({ json, out }: GpuBenchmarkOptions): Promise<void> {
  // What cannot be written should not be measured first.
  if (out !== null) await written(out, appendFile(out, ""));
  const result = await measureGpu(await requestGpu({ allowSoftware: true }));
  const text = `${JSON.stringify(result, null, 1)}\n`;
  if (out !== null) await written(out, writeFile(out, text));
  process.stdout.write(json ? text : formatResult(result));
}

async function written(path: string, writing: Promise<void>): Promise<void> {
  try {
    await writing;
  } catch (error) {
    throw new WinnowError(
      "file",
      `${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** @param gpu for the ceilings; disposed. */
export async function measureGpu(gpu: Gpu): Promise<GpuBenchmarkResult> {
  const { name, vendor, architecture, software, features, limits } = gpu.adapter;
  const shapes: (ShapeResult | Skipped)[] = [];
  let ceilings: Ceilings;
  let clock: Stopwatch["clock"];
  {
    using backend = createWebGpuBackend(gpu);
    const stopwatch = new Stopwatch(backend);
    ({ clock } = stopwatch);
    tell(`${name}: copies and products`);
    ceilings = await measureCeilings(backend, stopwatch);
  }
  for (const shape of SHAPES) {
    const skipped = whySkipped(shape, { name, software, limits });
    tell(skipped === null ? shape.name : `${shape.name}: skipped, ${skipped}`);
    shapes.push(skipped === null ? await measureShape(shape, ceilings) : { name: shape.name, skipped });
  }
  const adapter = { name, vendor, architecture, software, features };
  return { machine: thisMachine(), adapter, clock, ceilings, shapes };
}

/** Each shape has a device of its own, so that one that runs out of memory is of no matter to the next. */
async function measureShape(shape: ModelShape, ceilings: Ceilings): Promise<ShapeResult | Skipped> {
  const hostClock = new HostClock();
  const backend = hostClock.watch(createWebGpuBackend(await requestGpu({ allowSoftware: true })));
  try {
    using model = await loadModel(filesOf(shape, `${repositoryRoot()}/models/demo`), { backend });
    return await measureModel(shape.name, new ShapeBench(model, backend, hostClock, ceilings));
  } catch (error) {
    if (error instanceof WinnowError && error.code === "memory") return { name: shape.name, skipped: error.message };
    throw error;
  }
}

async function measureModel(name: string, bench: ShapeBench): Promise<ShapeResult> {
  const { model, backend } = bench;
  const extent = extentOf(model, backend.gpu.adapter.software !== null);
  const operations: (OperationRow | Skipped)[] = [];
  const prompts: (PromptRow | Skipped)[] = [];
  const tokens: (TokenRow | Skipped)[] = [];
  for (const rows of extent.rows) operations.push(...(await measureProducts(bench, rows)));
  const attention = await measurePromptAttention(bench, extent.prompt);
  operations.push(...attention.operations, await measureSample(bench));
  for (const policy of extent.policies) await measurePolicy(bench, policy, extent, prompts, tokens);
  for (const slots of extent.contexts) {
    tell(`${name}: ${slots} slots`);
    using session = model.createSession({ policy: "full" });
    await session.read([idsPart(model.tokenizer, [0])]);
    await fillCache(session.sequence, slots);
    operations.push(...(await measureDecodeAttention(bench, session.sequence)));
    tokens.push(await measureTokens(bench, `full cache of ${slots}`, session, extent.tokens));
  }
  const { llama, store } = model.engine;
  return {
    name,
    layers: llama.weights.layers.length,
    weightBytes: backend.memory.snapshot().weights,
    kvType: store.layout.kvType,
    operations,
    massTable: attention.massTable,
    prompts,
    tokens,
  };
}

/** Read a prompt under a policy, and write tokens over what it left. */
async function measurePolicy(
  bench: ShapeBench,
  policy: string,
  extent: Extent,
  prompts: (PromptRow | Skipped)[],
  tokens: (TokenRow | Skipped)[],
): Promise<void> {
  const { model } = bench;
  const name = `${policy}, prompt of ${extent.prompt}`;
  tell(name);
  const { vocabulary } = model.config;
  const ids = Array.from({ length: extent.prompt }, (_, i) => (i * 7919) % Math.min(vocabulary, 2000));
  // The first prompt compiles pipelines.
  for (const measured of [false, true]) {
    using session = model.createSession({ policy });
    const started = performance.now();
    await session.read([idsPart(model.tokenizer, ids)]);
    const wallMilliseconds = performance.now() - started;
    if (!measured) continue;
    prompts.push({
      name,
      tokens: extent.prompt,
      wallMilliseconds: significant(wallMilliseconds),
      tokensPerSecond: significant((1000 * extent.prompt) / wallMilliseconds),
    });
    tokens.push(await measureTokens(bench, name, session, extent.tokens));
  }
}

async function measureSample(bench: ShapeBench): Promise<OperationRow | Skipped> {
  const { backend, model } = bench;
  const { vocabulary } = model.config;
  const options = { label: "bench", category: "activations" } as const;
  using logits = randomTensor(backend, [1, vocabulary]);
  using token = backend.allocate("u32", [1], options);
  using logProbability = backend.allocate("f32", [1], options);
  return await bench.operation("sample, top-p", sampleWork(vocabulary), (repetition) => {
    backend.sample({
      logits: { tensor: logits, start: 0, count: 1 },
      params: { temperature: 0.8, topK: 0, topP: 0.9, minP: 0, repetitionPenalty: 1, seed: 1 },
      seen: new Uint32Array(0),
      choice: 0,
      position: repetition,
      token,
      logProbability,
    });
  });
}

/** What takes a while says what it is. */
function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}
