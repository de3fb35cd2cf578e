import { z } from "zod";

import { peerSchema } from "./peer";
import { WARM_PROMPT, warmTokens } from "./warm-up";

const count = z.int().positive();

/** What a peer's process is asked to measure. */
export const jobSchema = z.object({
  peer: peerSchema,
  /** A GGUF file; for Transformers.js a folder that the export made. */
  path: z.string(),
  shape: z.object({ layers: count, kvHeads: count, headDim: count }),
  /** `q8` or `fp32`, as Transformers.js has it. */
  precision: z.enum(["q8", "fp32"]),
  /** Tokens behind which others are written. */
  context: count,
  /** Answers at once. */
  batch: count,
  /** Whether the tokens are read, or the cache is filled as if they had been. */
  start: z.enum(["read", "fill"]),
  /** As many ids as the context has tokens. */
  prompt: z.array(z.int().nonnegative()),
  /** Steps to measure, a token of each answer being one. */
  steps: count,
  threads: count,
});
export type Job = z.output<typeof jobSchema>;

/** What a peer's process says of its job. */
export const sampleSchema = z.object({
  loadMs: z.number(),
  /** From handing over the prompt to the first token; null where it was not read. */
  firstTokenMs: z.number().nullable(),
  /** The median time of a step. */
  stepMs: z.number(),
  steps: count,
  /** The most that the process has had in memory. */
  peakBytes: z.number(),
  /** What the process computed, on all its threads. */
  cpuMs: z.number(),
  /** The most that the model had on the device; null where that is the process's memory. */
  deviceBytes: z.number().nullable(),
  /** The share of the context's slots that are kept. */
  kept: z.number(),
});
export type Sample = z.output<typeof sampleSchema>;
/** What a peer's runner measures; the process adds what it took itself. */
export type Measured = Omit<Sample, "peakBytes" | "cpuMs">;

/** What every engine is opened for, in tokens of one answer. */
export function contextOf(job: Pick<Job, "context" | "steps" | "batch">): number {
  return Math.max(job.context + roomFor(job), WARM_PROMPT + warmTokens(job.batch));
}

/** Tokens behind the context that have to fit as well. */
export function roomFor({ steps }: Pick<Job, "steps">): number {
  return WARM_STEPS + steps + 2;
}

/** Steps before any is measured: the first make what the others use. */
export const WARM_STEPS = 3;
