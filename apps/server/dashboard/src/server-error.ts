import { isObject, numberOrNull, objectOf, parseJson, stringOrNull } from "./json";

/** The server refused, or an answer broke off. */
export class ServerError extends Error {
  override readonly name = "ServerError";

  constructor(
    /** Null where the answer had begun. */
    readonly status: number | null,
    message: string,
    /** When the server says that it can be tried again. */
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(message);
  }

  static async of(response: Response): Promise<ServerError> {
    const message =
      errorMessage(parseJson(await response.text())) ?? `The server answered with status ${response.status}`;
    const header = response.headers.get("retry-after");
    const seconds = header === null ? null : numberOrNull(Number(header));
    return new ServerError(response.status, message, seconds);
  }
}

/** The message of an error in OpenAI's shape; null where there is none. */
export function errorMessage(body: unknown): string | null {
  const error = objectOf(body).error;
  if (!isObject(error)) return stringOrNull(error);
  return stringOrNull(error.message) ?? "The server gave no reason";
}

/** What went wrong, as a sentence for the page. */
export function explain(error: unknown): string {
  if (!(error instanceof ServerError)) {
    // A fetch that reaches nobody throws a TypeError, whose text differs from browser to browser.
    return error instanceof TypeError
      ? "The server cannot be reached."
      : `Something unexpected happened: ${String(error)}`;
  }
  const message = `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}`;
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  const { retryAfterSeconds } = error;
  return retryAfterSeconds === null ? sentence : `${sentence} Try again in ${Math.ceil(retryAfterSeconds)} s.`;
}
