import { randomBytes } from "node:crypto";

import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import type { Logger } from "pino";

import type { ServerMetrics } from "../serve/metrics";

const USABLE_ID = /^[\w-]{1,64}$/;

/** Gives every request an id, a log of its own and a line there, and counts it. Nothing that was said is logged. */
export function requestLog(log: Logger, metrics: ServerMetrics): MiddlewareHandler {
  return async (c, next) => {
    const started = performance.now();
    const asked = c.req.header("x-request-id") ?? "";
    const requestId = USABLE_ID.test(asked) ? asked : randomBytes(12).toString("hex");
    c.set("requestId", requestId);
    c.set("log", log.child({ requestId }));
    c.set("owner", "");
    c.header("X-Request-Id", requestId);
    c.set("answered", () => {
      const ms = performance.now() - started;
      // The pattern and not the path: a path may be anything.
      const route = c.res.status === 404 ? "none" : routePath(c, -1);
      metrics.request(route, c.res.status, ms);
      c.var.log.info({ method: c.req.method, route, status: c.res.status, ms: Math.round(ms) }, "answered");
    });
    await next();
    if (c.res.headers.get("content-type")?.startsWith("text/event-stream") !== true) c.var.answered();
  };
}
