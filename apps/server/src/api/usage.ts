import { z } from "@hono/zod-openapi";
import type { GenerationReport } from "@winnow/runtime";

export const usageSchema = z
  .strictObject({
    prompt_tokens: z.int(),
    completion_tokens: z.int(),
    total_tokens: z.int(),
    prompt_tokens_details: z.strictObject({ cached_tokens: z.int() }),
  })
  .openapi("Usage");

export type Usage = z.infer<typeof usageSchema>;

/**
 * Tokens of a request: a prompt counts once, however many answers it has.
 *
 * @param reports of all choices, those of one prompt together.
 * @param choices of each prompt.
 */
export function usageOf(reports: readonly GenerationReport[], choices: number): Usage {
  const sum = (of: readonly GenerationReport[], read: (report: GenerationReport) => number): number =>
    of.reduce((total, report) => total + read(report), 0);
  const firsts = reports.filter((_, i) => i % choices === 0);
  const prompt = sum(firsts, ({ promptTokens }) => promptTokens);
  const completion = sum(reports, ({ tokens }) => tokens.length);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: sum(firsts, ({ cachedTokens }) => cachedTokens) },
  };
}
