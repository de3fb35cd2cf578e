import { z } from "@hono/zod-openapi";

import { logProbabilitySchema } from "./log-probabilities";
import { samplingShape } from "./sampling-schema";
import { usageSchema } from "./usage";
import { winnowReportSchema, winnowRequestSchema } from "./winnow-schema";

const MOST_MESSAGES = 4096;

const textPartSchema = z.strictObject({ type: z.literal("text"), text: z.string() });

export const messageSchema = z
  .strictObject({
    role: z.enum(["system", "developer", "user", "assistant"]),
    content: z.union([z.string(), z.array(textPartSchema).min(1).max(256)]),
    name: z.string().max(256).optional(),
    refusal: z.null().optional(),
  })
  .openapi("Message");

export const chatRequestSchema = z
  .strictObject({
    ...samplingShape,
    messages: z.array(messageSchema).min(1).max(MOST_MESSAGES),
    max_completion_tokens: z.int().min(1).nullish().openapi({ description: "Takes the place of max_tokens" }),
    logprobs: z.boolean().nullish(),
    top_logprobs: z.int().min(0).max(20).nullish(),
    response_format: z
      .strictObject({ type: z.literal("text") })
      .nullish()
      .openapi({ description: "Text only" }),
    tools: z.array(z.unknown()).max(0).nullish().openapi({ description: "Not supported" }),
    tool_choice: z.enum(["none", "auto"]).nullish().openapi({ description: "There are no tools" }),
    parallel_tool_calls: z.boolean().nullish(),
    store: z.literal(false).nullish(),
    metadata: z.record(z.string(), z.string()).nullish(),
    winnow: winnowRequestSchema.nullish(),
  })
  .refine(({ logprobs, top_logprobs }) => logprobs === true || (top_logprobs ?? 0) === 0, {
    path: ["top_logprobs"],
    message: "expected logprobs to be true as well",
  })
  .openapi("ChatCompletionRequest");

export type ChatRequest = z.infer<typeof chatRequestSchema>;

const finishReason = z.enum(["stop", "length"]);
const logProbabilities = z.strictObject({ content: z.array(logProbabilitySchema), refusal: z.null() }).nullable();
const heading = { id: z.string(), created: z.int(), model: z.string(), system_fingerprint: z.string() } as const;

export const chatAnswerSchema = z
  .strictObject({
    ...heading,
    object: z.literal("chat.completion"),
    choices: z.array(
      z.strictObject({
        index: z.int(),
        message: z.strictObject({ role: z.literal("assistant"), content: z.string(), refusal: z.null() }),
        logprobs: logProbabilities,
        finish_reason: finishReason,
      }),
    ),
    usage: usageSchema,
    winnow: winnowReportSchema,
  })
  .openapi("ChatCompletion");

export const chatChunkSchema = z
  .strictObject({
    ...heading,
    object: z.literal("chat.completion.chunk"),
    choices: z.array(
      z.strictObject({
        index: z.int(),
        delta: z.strictObject({ role: z.literal("assistant").optional(), content: z.string().optional() }),
        logprobs: logProbabilities.optional(),
        finish_reason: finishReason.nullable(),
      }),
    ),
    usage: usageSchema.nullish(),
    winnow: winnowReportSchema.optional(),
  })
  .openapi("ChatCompletionChunk");

export type ChatAnswer = z.infer<typeof chatAnswerSchema>;
export type ChatChunk = z.infer<typeof chatChunkSchema>;
