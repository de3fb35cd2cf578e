import { z } from "@hono/zod-openapi";
import type { GenerationEvent, Tokenizer } from "@winnow/runtime";

/** What JSON has no number for. */
const LEAST = -9999;

const tokenShape = { token: z.string(), logprob: z.number(), bytes: z.array(z.int()) } as const;

export const logProbabilitySchema = z
  .strictObject({
    ...tokenShape,
    top_logprobs: z.array(z.strictObject(tokenShape)),
  })
  .openapi("TokenLogProbability", { description: "Natural logarithms at temperature 1, before any filter" });

export type LogProbability = z.infer<typeof logProbabilitySchema>;

type TokenEvent = Extract<GenerationEvent, { kind: "token" }>;

/** A token and the likeliest ones at its place. */
export function logProbabilityOf(tokenizer: Tokenizer, { id, logProbability, top }: TokenEvent): LogProbability {
  return {
    ...spelled(tokenizer, id, logProbability),
    top_logprobs: top.map((one) => spelled(tokenizer, one.id, one.logProbability)),
  };
}

function spelled(tokenizer: Tokenizer, id: number, logProbability: number): Omit<LogProbability, "top_logprobs"> {
  const bytes = tokenizer.vocabulary()[id]?.bytes ?? new Uint8Array(0);
  return {
    token: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes),
    logprob: Math.max(LEAST, logProbability),
    bytes: [...bytes],
  };
}
