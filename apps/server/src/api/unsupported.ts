import { Hono } from "hono";

import { ApiError } from "../http/api-error";

/** What OpenAI's clients may ask for and this server does not have, and what to use instead. */
const MISSING: Readonly<Record<string, string>> = {
  "/v1/responses": "use /v1/chat/completions",
  "/v1/embeddings": "language models that write are all that it runs",
  "/v1/moderations": "there is nothing to take its place",
  "/v1/images/*": "there is nothing to take its place",
  "/v1/audio/*": "there is nothing to take its place",
  "/v1/assistants": "use /v1/chat/completions",
  "/v1/threads": "use /v1/chat/completions with winnow.session",
};

/** Clear refusals in the place of routes that clients may expect. */
export function unsupported(): Hono {
  const app = new Hono();
  for (const [path, instead] of Object.entries(MISSING)) {
    app.all(path, () => {
      throw new ApiError(404, "not_found_error", `this server has no ${path}; ${instead}`, { code: "unsupported" });
    });
  }
  return app;
}
