/** What OpenAI's clients find in an error's `type`. */
export type ApiErrorType =
  "invalid_request_error" | "authentication_error" | "rate_limit_error" | "not_found_error" | "server_error";

/** Statuses that this server refuses with. */
export type ApiErrorStatus = 400 | 401 | 403 | 404 | 409 | 413 | 415 | 429 | 499 | 500 | 503 | 504;

export interface ApiErrorOptions {
  /** The request's field that is at fault, such as `messages.0.role`. */
  readonly param?: string;
  /** A word for programs, such as `context_length_exceeded`. */
  readonly code?: string;
  /** When to try again, for the header `Retry-After`. */
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

/**
 * A refusal in the shape of OpenAI's errors.
 *
 * @example
 * ```ts
 * throw new ApiError(404, "not_found_error", 'the model "gpt-4" is not served here; this server has "demo"', { param: "model" });
 * ```
 */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly param: string | null;
  readonly code: string | null;
  readonly retryAfterSeconds: number | null;

  constructor(
    readonly status: ApiErrorStatus,
    readonly type: ApiErrorType,
    message: string,
    options: ApiErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.param = options.param ?? null;
    this.code = options.code ?? null;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }

  /** The body of the answer. */
  toJSON(): { error: { message: string; type: ApiErrorType; param: string | null; code: string | null } } {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }
}
