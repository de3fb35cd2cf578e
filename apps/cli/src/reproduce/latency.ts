import { WinnowError } from "@winnow/core-tensor";
import { percentiles, type Model } from "@winnow/runtime";

import { throwIfInterrupted } from "../interrupt";
import type { LatencySetting } from "./paper";
import { promptOf } from "./prompt-of";

/** Seconds from the prompt to the last token of the last sequence, medians over interleaved runs. */
export type Latency = LatencySetting &
  (
    | { readonly kind: "measured"; readonly full: number; readonly fastgen: number; readonly kvShare: number }
    /** Why it was not run, with the bound that forbids it. */
    | { readonly kind: "skipped"; readonly reason: string }
  );

export interface LatencyOptions {
  /** A run that is likely to take longer is skipped. */
  readonly seconds: number;
  readonly repeats: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (() => void) | undefined;
}

interface Run {
  readonly seconds: number;
  /** Bytes of all caches at the end, as a share of full ones. */
  readonly kvShare: number;
}

/**
 * Time whole requests with the full cache and with FastGen, for each length and batch (table 2).
 *
 * @throws WinnowError `aborted`
 */
export async function measureLatency(
  model: Model,
  settings: readonly LatencySetting[],
  options: LatencyOptions,
): Promise<readonly Latency[]> {
  const { signal, onProgress } = options;
  const costs = await costsOf(model, signal);
  const found: Latency[] = [];
  for (const setting of settings) {
    throwIfInterrupted(signal);
    found.push(await latencyOf(model, setting, costs, options));
    onProgress?.();
  }
  return found;
}

async function latencyOf(
  model: Model,
  setting: LatencySetting,
  { readSeconds, writeSeconds }: Costs,
  { seconds, repeats, signal }: LatencyOptions,
): Promise<Latency> {
  const { prompt, generated, batch } = setting;
  const { context } = model.engine;
  if (prompt + generated > context)
    return { ...setting, kind: "skipped", reason: `${prompt + generated} tokens, and the context holds ${context}` };
  const likely = batch * (prompt * readSeconds + generated * writeSeconds);
  if (likely > seconds)
    return { ...setting, kind: "skipped", reason: `some ${Math.ceil(likely)} s, and a run may take ${seconds} s` };
  const runs = { full: [] as Run[], fastgen: [] as Run[] };
  try {
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const policy of ["full", "fastgen"] as const) runs[policy].push(await run(model, policy, setting, signal));
    }
  } catch (error) {
    if (!(error instanceof WinnowError && error.code === "memory")) throw error;
    return { ...setting, kind: "skipped", reason: `out of memory: ${error.message}` };
  }
  const median = (of: readonly number[]): number => percentiles(of)?.p50 ?? NaN;
  return {
    ...setting,
    kind: "measured",
    full: median(runs.full.map((one) => one.seconds)),
    fastgen: median(runs.fastgen.map((one) => one.seconds)),
    kvShare: median(runs.fastgen.map((one) => one.kvShare)),
  };
}

async function run(
  model: Model,
  policy: string,
  { prompt, generated, batch }: LatencySetting,
  signal: AbortSignal | undefined,
): Promise<Run> {
  const sessions = Array.from({ length: batch }, () => model.createSession({ policy }));
  try {
    const parts = sessions.map((_, i) => [promptOf(model, prompt, i)]);
    const started = performance.now();
    const reports = await Promise.all(
      sessions.map((session, i) =>
        session.generate(parts[i] ?? [], { maxTokens: generated, ignoreEos: true, temperature: 0, signal }).report(),
      ),
    );
    const seconds = (performance.now() - started) / 1000;
    const bytes = reports.reduce((sum, { kv }) => sum + kv.bytes, 0);
    const fullBytes = reports.reduce((sum, { kv }) => sum + kv.fullBytes, 0);
    return { seconds, kvShare: bytes / fullBytes };
  } finally {
    for (const session of sessions) session[Symbol.dispose]();
  }
}

/** What a token costs by itself, to tell beforehand how long a run is likely to take. */
interface Costs {
  readonly readSeconds: number;
  readonly writeSeconds: number;
}

const TRIAL = { prompt: 32, generated: 16, batch: 1 } as const;

async function costsOf(model: Model, signal: AbortSignal | undefined): Promise<Costs> {
  // What only the first request waits for, such as kernels, is nobody's cost.
  await run(model, "full", TRIAL, signal);
  const reading = await run(model, "full", { ...TRIAL, generated: 1 }, signal);
  const whole = await run(model, "full", TRIAL, signal);
  return {
    readSeconds: reading.seconds / TRIAL.prompt,
    writeSeconds: Math.max(0, whole.seconds - reading.seconds) / (TRIAL.generated - 1),
  };
}
