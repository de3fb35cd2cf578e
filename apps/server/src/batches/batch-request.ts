import { z } from "@hono/zod-openapi";

import type { BatchEndpoint } from "./run-line";
import type { InputError } from "./stored-batch";

/** What a line of an input file asks. */
export interface BatchRequest {
  readonly customId: string;
  readonly body: unknown;
}

const requestLine = z.object({
  custom_id: z.string().min(1).max(512),
  method: z.literal("POST"),
  url: z.string(),
  body: z.looseObject({
    stream: z.unknown().optional(),
    winnow: z.looseObject({ session: z.unknown().optional() }).nullish(),
  }),
});

/** A fault of one line, without the line's number. */
type Fault = Omit<InputError, "line">;

/** Reads a line; what is wrong with it is returned and not thrown, for a file is read to its end. */
export function readBatchRequest(text: string, endpoint: BatchEndpoint): { request: BatchRequest } | { fault: Fault } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return fault("invalid_json_line", `the line is not JSON: ${error instanceof Error ? error.message : "?"}`, null);
  }
  const line = requestLine.safeParse(json);
  if (!line.success) {
    const [issue] = line.error.issues;
    const param = issue === undefined || issue.path.length === 0 ? null : issue.path.join(".");
    if (param === "custom_id" && (typeof json !== "object" || json === null || !("custom_id" in json))) {
      return fault(
        "missing_required_parameter",
        'the line has no "custom_id", which tells its answer from others',
        param,
      );
    }
    return fault("invalid_request", `${param ?? "the line"}: ${issue?.message ?? "not a batch request"}`, param);
  }
  const { custom_id: customId, url, body } = line.data;
  if (url !== endpoint) {
    return fault("mismatched_url", `the line's url is "${url}", but the batch's endpoint is "${endpoint}"`, "url");
  }
  if (body.stream === true) {
    return fault(
      "invalid_request",
      "a batch's answers come in a file: stream has to be false or left out",
      "body.stream",
    );
  }
  if (body.winnow?.session !== undefined) {
    return fault(
      "invalid_request",
      "lines run side by side, in any order: they cannot be turns of one conversation",
      "body.winnow.session",
    );
  }
  return { request: { customId, body } };
}

function fault(code: string, message: string, param: string | null): { fault: Fault } {
  return { fault: { code, message, param } };
}
