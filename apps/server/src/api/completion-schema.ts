import { z } from "@hono/zod-openapi";

import { samplingShape } from "./sampling-schema";
import { usageSchema } from "./usage";
import { winnowReportSchema, winnowRequestSchema } from "./winnow-schema";

const MOST_PROMPTS = 64;

const tokenIds = z.array(z.int().min(0)).min(1);

export const completionRequestSchema = z
  .strictObject({
    ...samplingShape,
    prompt: z
      .union([
        z.string().min(1),
        tokenIds,
        z.array(z.string().min(1)).min(1).max(MOST_PROMPTS),
        z.array(tokenIds).min(1).max(MOST_PROMPTS),
      ])
      .openapi({ description: "A text, its token ids, or several of either" }),
    logprobs: z.int().min(0).max(5).nullish(),
    echo: z.literal(false).nullish().openapi({ description: "Not supported" }),
    suffix: z.null().optional().openapi({ description: "Not supported" }),
    best_of: z.literal(1).nullish().openapi({ description: "Not supported" }),
    winnow: winnowRequestSchema.omit({ session: true }).nullish(),
  })
  .openapi("CompletionRequest");

export type CompletionRequest = z.infer<typeof completionRequestSchema>;

const logProbabilities = z.strictObject({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number()),
  top_logprobs: z.array(z.record(z.string(), z.number())),
  text_offset: z.array(z.int()),
});

/** A whole answer, and a chunk of one that is streamed: its text is what is new. */
export const completionSchema = z
  .strictObject({
    id: z.string(),
    object: z.literal("text_completion"),
    created: z.int(),
    model: z.string(),
    system_fingerprint: z.string(),
    choices: z.array(
      z.strictObject({
        index: z.int(),
        text: z.string(),
        logprobs: logProbabilities.nullable(),
        finish_reason: z.enum(["stop", "length"]).nullable(),
      }),
    ),
    usage: usageSchema.nullish(),
    winnow: winnowReportSchema.optional(),
  })
  .openapi("Completion");

export type Completion = z.infer<typeof completionSchema>;
export type CompletionLogProbabilities = z.infer<typeof logProbabilities>;
