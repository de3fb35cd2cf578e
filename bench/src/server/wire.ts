import { z } from "zod";

/** What is read here of the server's answers; all else in them is left alone. */

const usage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  prompt_tokens_details: z.object({ cached_tokens: z.int() }),
});

/** A whole chat completion. */
export const answerSchema = z.object({
  id: z.string(),
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }), finish_reason: z.string() })]),
  usage,
});

/** An event of a streamed one; the last has the usage and no choice. */
export const chunkSchema = z.object({
  id: z.string(),
  choices: z
    .array(z.object({ delta: z.object({ content: z.string().optional() }), finish_reason: z.string().nullable() }))
    .max(1),
  usage: usage.nullish(),
});

/** `GET /slots` */
export const slotsSchema = z.object({
  backend: z.string(),
  cache: z.object({
    budgetBytes: z.int(),
    reservedBytes: z.int(),
    bytes: z.int(),
    prefixes: z.object({ entries: z.int(), bytes: z.int() }),
  }),
  slots: z.array(z.object({ state: z.enum(["idle", "waiting", "reading", "writing", "parked"]) })),
});

export type Slots = z.infer<typeof slotsSchema>;
