import type { Hook } from "@hono/zod-openapi";
import type { Env } from "hono";

import { ApiError } from "./api-error";

/** What a schema refuses is told as one line, with the place of its first fault. */
export const invalid: Hook<unknown, Env, string, unknown> = (result) => {
  if (result.success) return;
  const [issue] = result.error.issues;
  const path = issue?.path.map(String).join(".") ?? "";
  const param = path === "" && issue?.code === "unrecognized_keys" ? (issue.keys[0] ?? "") : path;
  const message = issue?.message ?? "the request does not fit its schema";
  throw new ApiError(400, "invalid_request_error", path === "" ? message : `${path}: ${message}`, {
    ...(param === "" ? {} : { param }),
    cause: result.error,
  });
};
