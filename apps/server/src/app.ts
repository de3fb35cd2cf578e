import "./http/context-variables";

import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { cors } from "hono/cors";
import { secureHeaders } from "hono/secure-headers";
import type { Logger } from "pino";

import { version } from "../package.json";
import { chatCompletions } from "./api/chat-completions";
import { completions } from "./api/completions";
import { docsPage } from "./api/docs-page";
import { models } from "./api/models";
import { probes } from "./api/probes";
import { slots } from "./api/slots";
import { tokenizing } from "./api/tokenizing";
import { unsupported } from "./api/unsupported";
import { batchRoutes, type Batches, type RunLine } from "./batches";
import { dashboardRoutes } from "./dashboard/dashboard";
import { ApiError } from "./http/api-error";
import type { ApiKeys } from "./http/api-keys";
import {
  authentication,
  bodiesOf,
  except,
  foreignPages,
  limitedBody,
  loopbackNames,
  rateLimiting,
} from "./http/guards";
import type { RateLimit } from "./http/rate-limit";
import { refusalOf } from "./http/refusal";
import { requestLog } from "./http/request-log";
import type { Deployment } from "./serve/deployment";

export interface AppOptions {
  readonly log: Logger;
  /** Null where everybody may use the server. */
  readonly keys: ApiKeys | null;
  readonly rateLimit: RateLimit;
  readonly maxBodyBytes: number;
  /** Origins whose pages may use the server; none by default. */
  readonly corsOrigins: readonly string[];
  /** Whether it listens on loopback, where nobody else should reach it. */
  readonly isLocal: boolean;
  readonly batches: Batches | null;
}

/** What needs a key, where there are keys. */
const GUARDED = ["/v1/*", "/slots", "/tokenize", "/detokenize"];
/** Files are sent as forms, of a size of their own. */
const FORMS = "/v1/files";

/** Everything that the server answers. */
export function createApp(deployment: Deployment, options: AppOptions): OpenAPIHono {
  const { log, keys, rateLimit, maxBodyBytes, corsOrigins, isLocal, batches } = options;
  const app = new OpenAPIHono();
  app.onError(refuse);
  app.notFound((c) => {
    throw new ApiError(
      404,
      "not_found_error",
      `there is no ${c.req.method} ${c.req.path.slice(0, 200)} here; see /docs`,
    );
  });
  app.use(requestLog(log, deployment.metrics));
  app.use(secureHeaders({ crossOriginResourcePolicy: corsOrigins.length === 0 }));
  if (corsOrigins.length > 0)
    app.use(cors({ origin: [...corsOrigins], exposeHeaders: ["X-Request-Id", "Retry-After"] }));

  app.route("/", dashboardRoutes());
  app.route("/", docsPage());
  app.route("/", probes(deployment));
  for (const path of GUARDED) {
    if (isLocal && keys === null) app.use(path, loopbackNames(corsOrigins));
    app.use(path, foreignPages(corsOrigins), authentication(keys), rateLimiting(rateLimit));
    app.use(path, except(FORMS, limitedBody(maxBodyBytes)), except(FORMS, bodiesOf("application/json")));
  }
  for (const routes of [models, chatCompletions, completions, tokenizing, slots]) app.route("/", routes(deployment));
  if (batches !== null)
    app.route(
      "/",
      batchRoutes(batches, (c) => c.var.owner),
    );
  app.route("/", unsupported());
  app.openAPIRegistry.registerComponent("securitySchemes", "key", { type: "http", scheme: "bearer" });
  app.doc31("/openapi.json", {
    openapi: "3.1.0",
    security: keys === null ? [] : [{ key: [] }],
    info: {
      title: "Winnow",
      version,
      description: "Language models whose KV cache each attention head cuts for itself",
    },
  });
  return app;
}

/** Runs a line of a batch as if it had been sent by itself. */
export function lineRunner(deployment: Deployment, log: Logger): RunLine {
  const app = new OpenAPIHono();
  app.onError(refuse);
  app.use(requestLog(log, deployment.metrics));
  app.route("/", chatCompletions(deployment));
  app.route("/", completions(deployment));
  return async (url, body, signal) => {
    const request = new Request(new URL(url, "http://batch.invalid"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    const response = await app.fetch(request);
    return { status: response.status, body: await response.json() };
  };
}

function refuse(error: Error, c: Context): Response {
  const refusal = refusalOf(error);
  if (refusal.status >= 500) c.var.log.error({ err: error }, refusal.message);
  if (refusal.retryAfterSeconds !== null) c.header("Retry-After", String(refusal.retryAfterSeconds));
  // What is left of the body is not a request.
  if (refusal.status === 413) c.header("Connection", "close");
  return new Response(JSON.stringify(refusal), {
    status: refusal.status,
    headers: [...c.res.headers, ["content-type", "application/json"]],
  });
}
