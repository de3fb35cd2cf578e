import { WinnowError, type WinnowErrorCode } from "@winnow/core-tensor";
import { SessionOptionError } from "@winnow/runtime";
import { HTTPException } from "hono/http-exception";

import { ApiError } from "./api-error";

/** What a request is at fault for when the runtime refuses it; anything else is the server's own failure. */
const CODES: Partial<Record<WinnowErrorCode, string | null>> = {
  prompt: null,
  usage: null,
  policy: "invalid_policy",
  plan: "invalid_plan",
  plugin: "invalid_policy",
  tokenizer: "invalid_messages",
  context: "context_length_exceeded",
  memory: "kv_budget_exceeded",
};

/** Any failure as it is told to a client: never a stack trace, and of an unexpected one no detail. */
export function refusalOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof WinnowError) {
    const code = CODES[error.code];
    if (code !== undefined) {
      const options = code === null ? {} : { code };
      // Requests have a session's options under the runtime's names.
      const field = error instanceof SessionOptionError ? { param: `winnow.${error.option}` } : {};
      return new ApiError(400, "invalid_request_error", error.message, { ...options, ...field, cause: error });
    }
    if (error.code === "aborted") {
      return new ApiError(499, "server_error", "the request was given up by its client", { cause: error });
    }
    if (error.code === "disposed") {
      return new ApiError(503, "server_error", "the server is shutting down", { cause: error });
    }
  }
  if (error instanceof HTTPException && error.status >= 400 && error.status < 500) {
    const reason = error.message === "" ? "the request cannot be read" : error.message;
    return new ApiError(400, "invalid_request_error", reason, { cause: error });
  }
  return new ApiError(500, "server_error", "the server failed on this request; its log says why", { cause: error });
}
