import { z } from "@hono/zod-openapi";
import { MOST_GUESSES } from "@winnow/runtime";

/** How the request's cache is cut; what is left out is the server's own default. */
export const winnowRequestSchema = z
  .strictObject({
    policy: z.string().min(1).max(4096).optional().openapi({
      description:
        "A preset (adaptive, fastgen, heavy-hitter, sink+recent, full) or an expression of the policy algebra",
      example: "fastgen",
    }),
    recovery: z.number().gt(0).max(1).optional().openapi({
      description: "The share of attention that a head must keep, for a preset that has a threshold",
    }),
    target: z.number().gt(0).max(1).optional().openapi({
      description:
        "What the cache may take of the full one's bytes once the prompt is cut; T, or the policy's budget, is found for it",
    }),
    interval: z.int().min(1).max(1_000_000).optional().openapi({
      description: "Tokens between two sweeps while generating; 1 is the paper's algorithm",
    }),
    drift: z.enum(["ignore", "upgrade"]).optional().openapi({
      description:
        "Whether heads that come to attend to what sweeps would drop are given more; for a policy with a threshold that sweeps, such as fastgen",
    }),
    speculate: z.int().min(0).max(MOST_GUESSES).optional().openapi({
      description:
        "Tokens that are guessed at a time where the text has stood before, 0 for none: answers stay the same, and take less time where they repeat it",
    }),
    plan: z
      .union([z.string().min(1).max(256), z.looseObject({ format: z.literal("winnow-head-plan") })])
      .optional()
      .openapi({
        description: "A head plan, or the name of one that the server was started with, instead of a policy",
      }),
    session: z.string().min(1).max(256).optional().openapi({
      description:
        "A name for the conversation: a request that goes on from its last answer extends the cache that is kept under this name",
    }),
  })
  .openapi("WinnowRequest");

const byHead = <Value extends z.ZodType>(value: Value): z.ZodArray<z.ZodArray<Value>> => z.array(z.array(value));

/** What the cache of an answer really held. */
export const winnowReportSchema = z
  .strictObject({
    policy: z.string(),
    recovery: byHead(z.number().nullable()),
    plan: byHead(z.string()),
    rows: z.strictObject({ source: z.string(), note: z.string().nullable() }),
    kv: z.strictObject({
      bytes: z.int(),
      fullBytes: z.int(),
      peakBytes: z.int(),
      slots: byHead(z.int()),
      tokens: z.int(),
      drift: z
        .strictObject({
          delayed: z.int().openapi({ description: "Sweeps that were put off for a head" }),
          upgraded: z.int().openapi({ description: "Times that a head was given a policy that keeps more" }),
        })
        .nullable()
        .openapi({ description: "Since the cache was made; null where drift is ignored" }),
    }),
    speculation: z
      .strictObject({
        steps: z.int().openapi({ description: "Steps that the answer took" }),
        drafted: z.int().openapi({ description: "Guessed tokens that were read" }),
        accepted: z.int().openapi({ description: "Those of them that were drawn as well" }),
      })
      .nullable()
      .openapi({ description: "Null where no tokens were guessed" }),
    timings: z.strictObject({
      queueMs: z.number(),
      promptMs: z.number(),
      profileMs: z.number(),
      tokenMs: z.strictObject({ p50: z.number(), p99: z.number() }).nullable(),
      tokensPerSecond: z.number().nullable(),
    }),
  })
  .openapi("WinnowReport", {
    description: "Arrays are by layer, then by KV head; of several choices it tells of the first",
  });

export type WinnowRequest = z.infer<typeof winnowRequestSchema>;
export type WinnowReport = z.infer<typeof winnowReportSchema>;
