import { createHash, randomBytes } from "node:crypto";

/** What one line came to: `text` is its line of the output or error file, without the line's end. */
export interface LineResult {
  readonly outcome: "completed" | "failed";
  readonly text: string;
}

interface Answered {
  readonly status: number;
  readonly body: unknown;
}

/** A line that was answered, well or badly. */
export function answeredLine(batch: string, line: number, customId: string, { status, body }: Answered): LineResult {
  const response = { status_code: status, request_id: `req_${randomBytes(12).toString("hex")}`, body };
  return {
    outcome: status < 400 ? "completed" : "failed",
    text: JSON.stringify({ id: requestId(batch, line), custom_id: customId, response, error: null }),
  };
}

/** A line that was never answered. */
export function unansweredLine(
  batch: string,
  line: number,
  customId: string,
  error: { readonly code: string; readonly message: string },
): LineResult {
  return {
    outcome: "failed",
    text: JSON.stringify({ id: requestId(batch, line), custom_id: customId, response: null, error }),
  };
}

/** The same for every try, so that a line is known again. */
function requestId(batch: string, line: number): string {
  return `batch_req_${createHash("sha256").update(`${batch}/${line}`).digest("hex").slice(0, 24)}`;
}
