import type { Model, PromptPart } from "@winnow/runtime";

import { medianOf } from "../eval/statistics/median";
import { throwIfInterrupted } from "../interrupt";
import { TABLE_3 } from "./paper";
import { promptOf } from "./prompt-of";

/** What profiling is of a whole request. */
export interface Profiling {
  readonly promptTokens: number;
  /** The longest sequence: longer answers are left out. */
  readonly context: number;
  /** Asking the table, deciding and cutting. */
  readonly profileMs: number;
  /** What reading the prompt takes longer than with the full cache, the recording of its rows included. */
  readonly addedMs: number;
  readonly lengths: readonly {
    readonly generated: number;
    /** From the prompt to the last token. */
    readonly wholeMs: number;
    /** Of `profileMs` in it. */
    readonly share: number;
  }[];
}

const PROMPT_TOKENS = 512;

/**
 * Time one long answer under FastGen, and what of it was profiling at each length (table 3).
 *
 * @returns lengths that fit the context, behind a prompt of 512 tokens or of half the context.
 * @throws WinnowError `aborted`
 */
export async function measureProfiling(
  model: Model,
  options: { readonly seed: number; readonly repeats: number; readonly signal?: AbortSignal | undefined },
): Promise<Profiling> {
  const { context } = model.engine;
  const { seed, repeats, signal } = options;
  const promptTokens = Math.min(PROMPT_TOKENS, Math.floor(context / 2));
  const lengths = TABLE_3.map(({ generated }) => generated).filter((generated) => promptTokens + generated <= context);
  const most = Math.max(1, ...lengths);
  const runs: Timed[] = [];
  const fullMs: number[] = [];
  for (let repeat = 0; repeat <= repeats; repeat++) {
    const part = promptOf(model, promptTokens, seed, 0);
    const full = await timed(model, "full", part, 1, signal);
    const one = await timed(model, "fastgen", part, most, signal);
    // The first of all waits for kernels.
    if (repeat === 0) continue;
    fullMs.push(full.promptMs);
    runs.push(one);
  }
  const profileMs = medianOf(runs.map((one) => one.profileMs));
  return {
    promptTokens,
    context,
    profileMs,
    addedMs: medianOf(runs.map(({ promptMs }) => promptMs)) - medianOf(fullMs),
    lengths: lengths.map((generated) => {
      const wholeMs = medianOf(runs.map(({ tokensMs }) => tokensMs[generated - 1] ?? NaN));
      return { generated, wholeMs, share: profileMs / wholeMs };
    }),
  };
}

interface Timed {
  readonly promptMs: number;
  readonly profileMs: number;
  /** From the prompt to each token. */
  readonly tokensMs: readonly number[];
}

async function timed(
  model: Model,
  policy: string,
  part: PromptPart,
  maxTokens: number,
  signal: AbortSignal | undefined,
): Promise<Timed> {
  using session = model.createSession({ policy });
  const tokensMs: number[] = [];
  const started = performance.now();
  const generation = session.generate([part], { maxTokens, ignoreEos: true, temperature: 0, signal });
  for await (const event of generation) if (event.kind === "token") tokensMs.push(performance.now() - started);
  const { timings } = await generation.report();
  throwIfInterrupted(signal);
  return { promptMs: timings.promptMs, profileMs: timings.profileMs, tokensMs };
}
