import { serve } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import OpenAI from "openai";

import { ApiError } from "../../http/api-error";
import { batchRoutes, type Batches } from "../index";

/** A server with the routes alone. */
export interface Api extends AsyncDisposable {
  readonly url: string;
  /** OpenAI's client, as somebody whose API key is `owner`. */
  client(owner: string): OpenAI;
}

/** Serves batches to whoever names themselves as a bearer token. */
export async function serveBatches(batches: Batches): Promise<Api> {
  const app = new OpenAPIHono();
  app.route(
    "/",
    batchRoutes(batches, (context) => context.req.header("authorization") ?? ""),
  );
  app.onError((error, context) => {
    if (error instanceof ApiError) return context.json(error.toJSON(), error.status === 499 ? 400 : error.status);
    return context.json({ error: { message: String(error), type: "server_error" } }, 500);
  });
  const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 });
  if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error(`no port: ${String(address)}`);
  const url = `http://127.0.0.1:${address.port}`;
  return {
    url,
    client: (apiKey) => new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 }),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
}
