import { WinnowError } from "@winnow/core-tensor";

/** Where the hub is, and who asks. */
export interface Endpoint {
  /** Without a slash at its end. */
  readonly url: string;
  readonly origin: string;
  readonly token: string | null;
}

const HUGGING_FACE = "https://huggingface.co";

/**
 * The hub that the environment names: `HF_ENDPOINT`, else Hugging Face's, with the token of `HF_TOKEN`.
 *
 * @throws WinnowError `usage` when either is none.
 */
export function endpointOf(env: NodeJS.ProcessEnv): Endpoint {
  const text = env.HF_ENDPOINT?.trim() ?? "";
  const url = text === "" ? HUGGING_FACE : text;
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const plain = parsed !== null && `${parsed.username}${parsed.password}${parsed.search}${parsed.hash}` === "";
  if (!plain || !/^https?:$/.test(parsed.protocol)) {
    // It may hold a password, and so is not shown.
    throw new WinnowError(
      "usage",
      `HF_ENDPOINT is not a hub's address; expected http or https, a host and perhaps a path, such as ${HUGGING_FACE}`,
    );
  }
  const token = env.HF_TOKEN?.trim() ?? "";
  if (/[^\x21-\x7e]/.test(token)) {
    throw new WinnowError(
      "usage",
      "HF_TOKEN has characters that no token has; expected one as https://huggingface.co/settings/tokens shows it",
    );
  }
  return { url: parsed.href.replace(/\/+$/, ""), origin: parsed.origin, token: token === "" ? null : token };
}
