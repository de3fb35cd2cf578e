import { z } from "@hono/zod-openapi";

const MOST_STOPS = 16;

/** What completions of both kinds say about how tokens are drawn. */
export const samplingShape = {
  model: z.string().min(1).max(1024),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({ include_usage: z.boolean().optional(), include_obfuscation: z.boolean().optional() })
    .nullish(),
  stop: z
    .union([z.string().min(1).max(1024), z.array(z.string().min(1).max(1024)).max(MOST_STOPS)])
    .nullish()
    .openapi({ description: "The answer ends before any of these" }),
  seed: z
    .int()
    .nullish()
    .openapi({ description: "The same seed gives the same answer, whatever else the server does" }),
  temperature: z.number().min(0).max(2).nullish().openapi({
    description: "0 takes the likeliest token; default: the model's generation_config.json, else 0",
  }),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(0).max(1_000_000).nullish(),
  min_p: z.number().min(0).lt(1).nullish(),
  repetition_penalty: z.number().gt(0).max(100).nullish(),
  max_tokens: z.int().min(1).nullish().openapi({ description: "Default: until the context is used up" }),
  n: z.int().min(1).max(16).nullish(),
  user: z.string().max(1024).nullish(),
  frequency_penalty: z.literal(0).nullish().openapi({ description: "Not supported" }),
  presence_penalty: z.literal(0).nullish().openapi({ description: "Not supported" }),
  logit_bias: z.strictObject({}).nullish().openapi({ description: "Not supported" }),
} as const;

/** What both kinds have in common, once it was checked. */
export interface SamplingRequest {
  readonly stop?: string | string[] | null | undefined;
  readonly seed?: number | null | undefined;
  readonly temperature?: number | null | undefined;
  readonly top_p?: number | null | undefined;
  readonly top_k?: number | null | undefined;
  readonly min_p?: number | null | undefined;
  readonly repetition_penalty?: number | null | undefined;
}
