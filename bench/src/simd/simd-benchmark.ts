import { availableParallelism } from "node:os";

import { allowRelaxedSimd } from "@winnow/cpu-backend";

import type { BenchmarkOptions } from "../arguments";
import { formatMachine, thisMachine } from "../machine";
import { compilePeak } from "./compile-peak";
import { MODELS } from "../peers/models";
import type { ModelShape } from "../peers/model-shape";
import { leastMs, promptWork } from "./least-time";
import { peakOf, type PeakName } from "./peak-threads";

/** What `peers` reads. */
const PROMPTS: readonly { readonly model: string; readonly shape: ModelShape; readonly tokens: number }[] = [
  ...[128, 1000, 4000].map((tokens) => ({ model: "135m", shape: MODELS["135m q8_0"].shape, tokens })),
  ...[128, 1000].map((tokens) => ({ model: "demo", shape: MODELS["demo f16"].shape, tokens })),
];

/** Products a second. */
interface Peak {
  readonly one: number;
  readonly all: number;
}

/** Measure what 128-bit SIMD gives at its best, and print the time below which no such kernel can read a prompt. */
export async function runSimdBenchmark({ json }: BenchmarkOptions): Promise<void> {
  const usesBytes = allowRelaxedSimd();
  const module = await compilePeak();
  const threads = availableParallelism();
  const peak = async (name: PeakName): Promise<Peak> => ({
    one: await peakOf(module, name, 1),
    all: await peakOf(module, name, threads),
  });
  const floats = await peak("floats");
  const halfWords = await peak("half_words");
  const bytes = await peak("bytes");
  const whole = usesBytes ? bytes : halfWords;
  const result = {
    machine: thisMachine(),
    threads,
    perSecond: { floats, halfWords, bytes },
    least: PROMPTS.map(({ model, shape, tokens }) => ({
      model,
      tokens,
      f16Ms: leastMs(promptWork(shape, tokens), floats.all, floats.all),
      q8Ms: leastMs(promptWork(shape, tokens), whole.all, floats.all),
    })),
  };
  if (json) {
    process.stdout.write(`${JSON.stringify(result, null, 1)}\n`);
    return;
  }
  const giga = (rate: number): string => (rate / 1e9).toFixed(1);
  process.stdout.write(
    `${formatMachine(result.machine)}\n\n` +
      `products a second of 128-bit SIMD, operands in the nearest cache: by one thread, by ${threads}\n` +
      `  f32, fused with sums    ${giga(floats.one)} G, ${giga(floats.all)} G\n` +
      `  i16, sums in i32        ${giga(halfWords.one)} G, ${giga(halfWords.all)} G\n` +
      `  i8, sums in i32         ${giga(bytes.one)} G, ${giga(bytes.all)} G${usesBytes ? "; exact on some processors only" : "; not used by this Node, where they are not exact"}\n\n` +
      `at those, the least time to read a prompt\n`,
  );
  for (const { model, tokens, f16Ms, q8Ms } of result.least) {
    process.stdout.write(
      `  ${`${model}, ${tokens} tokens`.padEnd(18)} f16 ${f16Ms.toFixed(0).padStart(6)} ms   q8_0 ${q8Ms.toFixed(0).padStart(6)} ms\n`,
    );
  }
}
