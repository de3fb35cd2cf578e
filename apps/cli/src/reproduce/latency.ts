import { setMaxListeners } from "node:events";

import { WinnowError } from "@winnow/core-tensor";
import type { Model } from "@winnow/runtime";

import { medianOf } from "../eval/statistics/median";
import { throwIfInterrupted } from "../interrupt";
import type { LatencySetting } from "./paper";
import { promptOf } from "./prompt-of";

/** Seconds from the prompt to the last token of the last sequence, medians over interleaved runs. */
export type Latency = LatencySetting &
  (
    | {
        readonly kind: "measured";
        readonly full: number;
        readonly fastgen: number;
        /** Of FastGen's caches at the end, as a share of full ones. */
        readonly kvShare: number;
      }
    /** Why it was not run to its end. */
    | { readonly kind: "skipped"; readonly reason: string }
  );

export interface LatencyOptions {
  readonly seed: number;
  /** A run that takes longer is given up. */
  readonly seconds: number;
  readonly repeats: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (() => void) | undefined;
}

interface Run {
  readonly seconds: number;
  readonly kvShare: number;
}

/** What only the first request of a policy waits for, such as kernels, is nobody's time. */
const WARM_UP = { prompt: 32, generated: 8, batch: 1 } as const;

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
  const found: Latency[] = [];
  const { context } = model.engine;
  if (settings.some((setting) => fits(setting, context)) && fits(WARM_UP, context)) {
    for (const policy of ["full", "fastgen"]) await run(model, policy, WARM_UP, options);
  }
  for (const setting of settings) {
    throwIfInterrupted(options.signal);
    found.push(await latencyOf(model, setting, options));
    options.onProgress?.();
  }
  return found;
}

async function latencyOf(model: Model, setting: LatencySetting, options: LatencyOptions): Promise<Latency> {
  const { context } = model.engine;
  const skipped = (reason: string): Latency => ({ ...setting, kind: "skipped", reason });
  if (!fits(setting, context))
    return skipped(`${setting.prompt + setting.generated} tokens, and the context holds ${context}`);
  const runs = { full: [] as Run[], fastgen: [] as Run[] };
  try {
    for (let repeat = 0; repeat < options.repeats; repeat++) {
      for (const policy of ["full", "fastgen"] as const) {
        const one = await run(model, policy, setting, options);
        if (one === null) return skipped(`more than ${options.seconds} s`);
        runs[policy].push(one);
      }
    }
  } catch (error) {
    if (!(error instanceof WinnowError && error.code === "memory")) throw error;
    return skipped(`out of memory: ${error.message}`);
  }
  return {
    ...setting,
    kind: "measured",
    full: medianOf(runs.full.map(({ seconds }) => seconds)),
    fastgen: medianOf(runs.fastgen.map(({ seconds }) => seconds)),
    kvShare: medianOf(runs.fastgen.map(({ kvShare }) => kvShare)),
  };
}

function fits({ prompt, generated }: LatencySetting, context: number): boolean {
  return prompt + generated <= context;
}

/**
 * @returns null where it took too long.
 * @throws WinnowError `aborted`, `memory`
 */
async function run(
  model: Model,
  policy: string,
  { prompt, generated, batch }: LatencySetting,
  { seed, seconds: most, signal }: LatencyOptions,
): Promise<Run | null> {
  const parts = Array.from({ length: batch }, (_, i) => [promptOf(model, prompt, seed, i)]);
  const sessions = parts.map(() => model.createSession({ policy }));
  const tooLong = AbortSignal.timeout(1000 * most);
  const stop = signal === undefined ? tooLong : AbortSignal.any([signal, tooLong]);
  // Every request listens to it, in more than one place while it waits.
  setMaxListeners(0, stop);
  try {
    const started = performance.now();
    const answers = await Promise.allSettled(
      sessions.map((session, i) =>
        session
          .generate(parts[i] ?? [], { maxTokens: generated, ignoreEos: true, temperature: 0, signal: stop })
          .report(),
      ),
    );
    const seconds = (performance.now() - started) / 1000;
    throwIfInterrupted(signal);
    if (tooLong.aborted) return null;
    const reports = answers.map((answer) => {
      if (answer.status === "rejected") throw answer.reason;
      return answer.value;
    });
    const bytes = reports.reduce((sum, { kv }) => sum + kv.bytes, 0);
    const fullBytes = reports.reduce((sum, { kv }) => sum + kv.fullBytes, 0);
    return { seconds, kvShare: bytes / fullBytes };
  } finally {
    for (const session of sessions) session[Symbol.dispose]();
  }
}
