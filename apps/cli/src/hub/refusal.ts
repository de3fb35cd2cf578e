import { WinnowError } from "@winnow/core-tensor";

import type { Endpoint } from "./endpoint";
import { TransientError } from "./patience";

/** What an answer other than the one that was asked for means: something that may pass, or something to be done. */
export function refusal(what: string, { status, headers }: Response, endpoint: Endpoint): Error {
  if (status === 429 || status === 503) {
    return new TransientError(`the hub answered ${status}`, { retryAfterMs: retryAfterMs(headers) });
  }
  if (status === 408 || status >= 500) return new TransientError(`the hub answered ${status}`);
  const code = headers.get("x-error-code");
  if (status === 401 || status === 403) {
    const fix =
      endpoint.token === null
        ? "set HF_TOKEN to a token that may read it"
        : "the token of HF_TOKEN may not read it; check the token";
    const licence = code === "GatedRepo" ? ", and accept the model's terms on its page" : "";
    return new WinnowError(
      "file",
      `${what}: the hub answered ${status}: there is no such model, or it is private or gated; check the name, or ${fix}${licence}`,
    );
  }
  if (status === 404) {
    const missing = code === "RevisionNotFound" ? "no such revision" : "no such model or file";
    return new WinnowError("file", `${what}: the hub answered 404, ${missing}; check the name at ${endpoint.url}`);
  }
  return new WinnowError("file", `${what}: ${endpoint.url} answered ${status}, which no hub does; check HF_ENDPOINT`);
}

/** What `Retry-After` asks for: seconds or a date. */
function retryAfterMs(headers: Headers): number | null {
  const text = headers.get("retry-after");
  if (text === null) return null;
  const ms = /^\d+$/.test(text) ? 1000 * Number(text) : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}
