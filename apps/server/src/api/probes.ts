import { OpenAPIHono, createRoute, z } from "@hono/zod-openapi";

import type { Deployment } from "../serve/deployment";

const status = z.strictObject({ status: z.string() });
const answer = (
  description: string,
): { description: string; content: { "application/json": { schema: typeof status } } } => ({
  description,
  content: { "application/json": { schema: status } },
});

const health = createRoute({
  method: "get",
  path: "/health",
  summary: "Whether the process lives",
  responses: { 200: answer("It does") },
});

const ready = createRoute({
  method: "get",
  path: "/ready",
  summary: "Whether new requests are taken",
  responses: { 200: answer("They are"), 503: answer("The server is shutting down") },
});

const metrics = createRoute({
  method: "get",
  path: "/metrics",
  summary: "Counters for Prometheus",
  responses: { 200: { description: "In its text format", content: { "text/plain": { schema: z.string() } } } },
});

/** `GET /health`, `GET /ready`, `GET /metrics`: for probes, which have no key. */
export function probes({ workload, metrics: { registry } }: Deployment): OpenAPIHono {
  return new OpenAPIHono()
    .openapi(health, (c) => c.json({ status: "ok" }, 200))
    .openapi(ready, (c) =>
      workload.closing ? c.json({ status: "shutting down" }, 503) : c.json({ status: "ok" }, 200),
    )
    .openapi(metrics, async (c) => c.text(await registry.metrics(), 200, { "Content-Type": registry.contentType }));
}
