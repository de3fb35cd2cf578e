import { OpenAPIHono, createRoute, z } from "@hono/zod-openapi";
import type { Session } from "@winnow/runtime";

import { invalid } from "../http/invalid";
import type { Deployment } from "../serve/deployment";
import type { Job } from "../serve/workload";
import { refusals } from "./error-schema";

const bytes = z.strictObject({ bytes: z.int(), fullBytes: z.int(), peakBytes: z.int() });

const slotSchema = z
  .strictObject({
    id: z.string(),
    state: z.enum(["idle", "waiting", "reading", "writing", "parked"]),
    promptTokens: z.int(),
    tokens: z.int().openapi({ description: "Read and written so far" }),
    policy: z.string(),
    recovery: z.number().nullable(),
    ageMs: z.number(),
    kv: bytes,
    heads: z.array(z.array(z.strictObject({ policy: z.string(), kept: z.number().openapi({ description: "Share" }) }))),
  })
  .openapi("Slot");

const slotsSchema = z
  .strictObject({
    model: z.string(),
    backend: z.string(),
    layers: z.int(),
    kvHeads: z.int(),
    cache: z.strictObject({
      budgetBytes: z.int().nullable(),
      reservedBytes: z.int(),
      bytes: z.int(),
      prefixes: z.strictObject({ entries: z.int(), bytes: z.int(), hits: z.int(), misses: z.int() }),
    }),
    queue: z.strictObject({ waiting: z.int(), running: z.int(), parked: z.int(), max: z.int() }),
    tokensPerSecond: z.number(),
    slots: z.array(slotSchema),
  })
  .openapi("Slots");

const route = createRoute({
  method: "get",
  path: "/slots",
  summary: "Requests under way, and what the caches hold",
  responses: {
    200: { description: "As of now", content: { "application/json": { schema: slotsSchema } } },
    ...refusals,
  },
});

/** `GET /slots` */
export function slots(deployment: Deployment): OpenAPIHono {
  return new OpenAPIHono({ defaultHook: invalid }).openapi(route, (c) => {
    const { model, workload, metrics } = deployment;
    const found = workload.jobs.flatMap((job) => job.sessions.map((session) => slotOf(job, session)));
    const parked = found.filter(({ state }) => state === "parked").length;
    const { waiting } = workload;
    return c.json(
      {
        model: deployment.modelId,
        backend: model.engine.backend.name,
        layers: model.config.layers,
        kvHeads: model.config.kvHeads,
        cache: model.cache,
        queue: { waiting, running: workload.jobs.length - waiting, parked, max: workload.maxQueue },
        tokensPerSecond: metrics.tokensPerSecond,
        slots: found,
      },
      200,
    );
  });
}

function slotOf(job: Job, { state, settings, kv, tokens }: Session): z.infer<typeof slotSchema> {
  const read = Math.max(1, kv?.tokens ?? 0);
  return {
    id: job.id,
    state,
    promptTokens: job.promptTokens,
    tokens: Math.max(tokens.length, kv?.tokens ?? 0),
    policy: settings.policy.text,
    recovery: settings.recovery,
    ageMs: performance.now() - job.startedAtMs,
    kv: { bytes: kv?.bytes ?? 0, fullBytes: kv?.fullBytes ?? 0, peakBytes: kv?.peakBytes ?? 0 },
    heads: (kv?.plan ?? []).map((heads, l) =>
      heads.map((policy, h) => ({ policy, kept: (kv?.slots[l]?.[h] ?? 0) / read })),
    ),
  };
}
