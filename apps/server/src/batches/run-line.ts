/** The endpoints that a batch's lines may ask. */
export const BATCH_ENDPOINTS = ["/v1/chat/completions", "/v1/completions"] as const;

export type BatchEndpoint = (typeof BATCH_ENDPOINTS)[number];

/**
 * Answers one line as the endpoint would.
 *
 * A status of 429 or from 500, and an error thrown, count as passing troubles: the line is tried again, after 429 and 503
 * for as long as its batch lasts. `signal` aborts when the batch is cancelled or the process ends.
 */
export type RunLine = (
  url: BatchEndpoint,
  body: unknown,
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly body: unknown }>;
