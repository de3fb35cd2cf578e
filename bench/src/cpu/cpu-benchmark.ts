import { idsPart, loadModel, openBackend, percentiles, type GenerationReport, type Model } from "@winnow/runtime";

import type { BenchmarkOptions } from "../arguments";
import { goldenPrompt } from "../golden-prompt";
import { formatMachine, thisMachine } from "../machine";
import { repositoryRoot } from "../repository";

const PROMPT_TOKENS = 1000;
const DECODE_CONTEXT = 128;
const DECODE_TOKENS = 64;
const RUNS = 5;

async function once(model: Model, policy: string, tokens: number, maxTokens: number): Promise<GenerationReport> {
  using session = model.createSession({ policy });
  return await session
    .generate([idsPart(model.tokenizer, goldenPrompt(tokens))], { maxTokens, ignoreEos: true, temperature: 0 })
    .report();
}

/** The median over interleaved runs, so that a busy moment falls on all rows alike. */
async function medians<T extends string>(rows: Readonly<Record<T, () => Promise<number>>>): Promise<Record<T, number>> {
  const names = Object.keys(rows) as T[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<T, number[]>;
  for (let run = 0; run <= RUNS; run++) {
    for (const name of names) {
      const ms = await rows[name]();
      // The first run compiles the kernels.
      if (run > 0) times[name].push(ms);
    }
  }
  return Object.fromEntries(names.map((name) => [name, percentiles(times[name])?.p50 ?? NaN])) as Record<T, number>;
}

/** Measure prompts and tokens of the demo model under several policies, and print the medians. */
export async function runCpuBenchmark({ json }: BenchmarkOptions): Promise<void> {
  using model = await loadModel(`${repositoryRoot()}/models/demo`, { backend: await openBackend("cpu") });
  const reading = await medians({
    full: async () => (await once(model, "full", PROMPT_TOKENS, 1)).timings.promptMs,
    fastgen: async () => (await once(model, "fastgen", PROMPT_TOKENS, 1)).timings.promptMs,
    "sink+recent": async () => (await once(model, "sink+recent", PROMPT_TOKENS, 1)).timings.promptMs,
    "heavy-hitter": async () => (await once(model, "heavy-hitter", PROMPT_TOKENS, 1)).timings.promptMs,
  });
  const decoding = await medians({
    full: async () => (await once(model, "full", DECODE_CONTEXT, DECODE_TOKENS)).timings.tokenMs?.p50 ?? NaN,
    fastgen: async () => (await once(model, "fastgen", DECODE_CONTEXT, DECODE_TOKENS)).timings.tokenMs?.p50 ?? NaN,
    adaptive: async () => (await once(model, "adaptive", DECODE_CONTEXT, DECODE_TOKENS)).timings.tokenMs?.p50 ?? NaN,
  });

  const result = {
    machine: thisMachine(),
    model: "models/demo",
    backend: model.engine.backend.name,
    runs: RUNS,
    reading: Object.entries(reading).map(([policy, ms]) => ({
      policy,
      promptTokens: PROMPT_TOKENS,
      ms: round(ms),
      tokensPerSecond: round((1000 * PROMPT_TOKENS) / ms),
      overFull: round(ms / reading.full - 1, 3),
    })),
    decoding: Object.entries(decoding).map(([policy, ms]) => ({
      policy,
      context: DECODE_CONTEXT,
      msPerToken: round(ms, 3),
      tokensPerSecond: round(1000 / ms),
    })),
  };

  if (json) {
    process.stdout.write(`${JSON.stringify(result, null, 1)}\n`);
  } else {
    process.stdout.write(
      `${formatMachine(result.machine)}; ${result.model}, ${result.backend}; medians of ${RUNS}\n\n`,
    );
    process.stdout.write(`reading a prompt of ${PROMPT_TOKENS} tokens\n`);
    for (const { policy, ms, tokensPerSecond, overFull } of result.reading) {
      process.stdout.write(
        `  ${policy.padEnd(14)} ${`${ms} ms`.padStart(10)} ${`${tokensPerSecond} tokens/s`.padStart(18)}   ${(100 * overFull).toFixed(1)} % over the full cache\n`,
      );
    }
    process.stdout.write(`\nwriting ${DECODE_TOKENS} tokens behind a context of ${DECODE_CONTEXT}\n`);
    for (const { policy, msPerToken, tokensPerSecond } of result.decoding) {
      process.stdout.write(
        `  ${policy.padEnd(14)} ${`${msPerToken} ms`.padStart(10)} ${`${tokensPerSecond} tokens/s`.padStart(18)}\n`,
      );
    }
  }
}

function round(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}
