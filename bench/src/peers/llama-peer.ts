import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import {
  LlamaLogLevel,
  NoBinaryFoundError,
  getLlama,
  type Llama,
  type LlamaContextSequence,
  type LlamaModel,
  type Token,
} from "node-llama-cpp";

import { median } from "../gpu/stopwatch";
import { contextOf, type Job, type Measured } from "./job";
import { lengthenState } from "./llama-state";
import { ENGINES } from "./peer";
import { StepClock } from "./step-clock";
import { WARM_PROMPT, warmTokens, warmUp } from "./warm-up";

/** Tokens that are read for a state, whose keys and values a longer one repeats. */
const TEMPLATE_TOKENS = 64;
const GREEDY = { temperature: 0, yieldEogToken: true } as const;

/** Measure llama.cpp, on the CPU or with all of the model on a GPU. */
export async function measureLlama(job: Job): Promise<Measured> {
  const engine = ENGINES[job.peer];
  if (engine.kind !== "llama.cpp") throw new RangeError(`${job.peer} is not run by llama.cpp`);
  const { threads, batch } = job;
  const { gpu } = engine;
  const llama = await openLlama(gpu, threads);
  const usedBefore = gpu === false ? 0 : (await llama.getVramState()).used;
  const started = performance.now();
  const model = await llama.loadModel({ modelPath: job.path, gpuLayers: gpu === false ? 0 : "max" });
  const loadMs = performance.now() - started;
  // The faster of the two: prompts are read in two thirds of the time.
  const context = await model.createContext({
    contextSize: contextOf(job),
    sequences: batch,
    threads,
    flashAttention: true,
  });
  const prompt = tokensOf(model, job.prompt);
  const sequences = Array.from({ length: batch }, () => context.getSequence());
  await warmUp(() => warm(sequences, prompt));
  if (job.start === "fill") await fill(sequences, prompt);
  const clock = new StepClock(batch, job.steps);
  const handed = performance.now();
  let firstTokenMs: number | null = null;
  await Promise.all(
    sequences.map(async (sequence) => {
      for await (const _ of sequence.evaluate(job.start === "read" ? prompt : prompt.slice(0, 1), GREEDY)) {
        firstTokenMs ??= performance.now() - handed;
        clock.note();
        if (clock.done) break;
      }
    }),
  );
  return {
    loadMs,
    firstTokenMs: job.start === "read" ? firstTokenMs : null,
    stepMs: median(clock.times),
    steps: clock.times.length,
    deviceBytes: gpu === false ? null : await grownBytes(llama, usedBefore),
    kept: 1,
  };
}

async function openLlama(gpu: "vulkan" | false, threads: number): Promise<Llama> {
  const { disabled: logLevel } = LlamaLogLevel;
  try {
    return await getLlama({ gpu, build: "never", skipDownload: true, maxThreads: threads, logLevel });
  } catch (cause) {
    if (!(cause instanceof NoBinaryFoundError)) throw cause;
    throw new WinnowError(
      "backend",
      `node-llama-cpp has no build for ${gpu === false ? "CPUs" : "Vulkan"} here that works; installs leave that for Vulkan out ` +
        "for its size: take @node-llama-cpp/…-vulkan off ignoredOptionalDependencies in pnpm-workspace.yaml, and run pnpm install",
      { cause },
    );
  }
}

/** What it has it keeps, so that at the end it is the most; null where the driver does not tell. */
async function grownBytes(llama: Llama, before: number): Promise<number | null> {
  const { total, used } = await llama.getVramState();
  return total === 0 ? null : used - before;
}

/** Its tokens are numbers of a type of their own. */
function tokensOf(model: LlamaModel, ids: readonly number[]): Token[] {
  const tokens = [...model.iterateAllTokens()];
  return ids.map((id) => {
    const token = tokens[id];
    if (token === undefined) throw new RangeError(`llama.cpp has no token ${id}; its model has ${tokens.length}`);
    return token;
  });
}

async function warm(sequences: readonly LlamaContextSequence[], prompt: readonly Token[]): Promise<void> {
  const tokens = warmTokens(sequences.length);
  await Promise.all(
    sequences.map(async (sequence) => {
      let written = 0;
      for await (const _ of sequence.evaluate(prompt.slice(0, WARM_PROMPT), GREEDY)) if (++written === tokens) break;
      await sequence.clearHistory();
    }),
  );
}

/** Have sequences hold a state of as many tokens as the prompt, without reading it. */
async function fill(sequences: readonly LlamaContextSequence[], prompt: readonly Token[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "winnow-peers-"));
  try {
    const [first, ...others] = sequences;
    if (first === undefined) return;
    await first.evaluateWithoutGeneratingNewTokens(prompt.slice(0, TEMPLATE_TOKENS));
    const template = join(folder, "template");
    const state = join(folder, "state");
    await first.saveStateToFile(template);
    await first.clearHistory();
    await lengthenState(template, state, prompt);
    for (const sequence of [first, ...others]) await sequence.loadStateFromFile(state, { acceptRisk: true });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
