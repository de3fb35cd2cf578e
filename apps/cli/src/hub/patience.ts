import { setTimeout as sleep } from "node:timers/promises";

import { WinnowError } from "@winnow/core-tensor";

/** How long a hub is waited for. */
export interface Patience {
  /** What a connection may be silent for. */
  readonly stallMs: number;
  /** Attempts in a row that bring nothing, before it is given up. */
  readonly attempts: number;
  /** Wait before the second attempt; it doubles with each. */
  readonly backoffMs: number;
  /** The most that a hub may ask to be left alone for. */
  readonly longestWaitMs: number;
}

export const PATIENCE: Patience = { stallMs: 30_000, attempts: 5, backoffMs: 1000, longestWaitMs: 60_000 };

/** A failure that may not come again: a broken connection, a server that has too much to do. */
export class TransientError extends Error {
  /** Whether the attempt brought the work forward. */
  readonly progressed: boolean;
  /** How long the server asked to be left alone. */
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    options: ErrorOptions & { readonly progressed?: boolean; readonly retryAfterMs?: number | null } = {},
  ) {
    super(message, options);
    this.progressed = options.progressed ?? false;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

/**
 * Do something again while it fails with a {@link TransientError}.
 *
 * @param what names it in the error.
 * @param onRetry is told why there is another attempt.
 * @throws WinnowError `file` when it has failed too often, `aborted` by the signal; and what else it throws.
 */
export async function persist<T>(
  what: string,
  patience: Patience,
  signal: AbortSignal,
  onRetry: (reason: string) => void,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let failed = 0; ;) {
    try {
      return await attempt();
    } catch (error) {
      expectGoingOn(signal);
      if (!(error instanceof TransientError)) throw error;
      failed = error.progressed ? 1 : failed + 1;
      const waitMs = Math.max(patience.backoffMs * 2 ** (failed - 1), error.retryAfterMs ?? 0);
      if (failed >= patience.attempts || (error.retryAfterMs ?? 0) > patience.longestWaitMs) {
        throw new WinnowError("file", `${what}: ${error.message}${advice(error, failed)}`, { cause: error });
      }
      onRetry(`${what}: ${error.message}; attempt ${failed + 1} of ${patience.attempts} in ${seconds(waitMs)}`);
      await pause(waitMs, signal);
    }
  }
}

/** Wait, unless the signal comes. @throws WinnowError `aborted` */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    expectGoingOn(signal);
  }
}

/** @throws WinnowError `aborted` when the signal has come. */
export function expectGoingOn(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw signal.reason instanceof WinnowError
    ? signal.reason
    : new WinnowError("aborted", "getting a model was aborted");
}

function advice({ retryAfterMs }: TransientError, failed: number): string {
  return retryAfterMs === null
    ? `, ${failed} times in a row; check the connection and try again, which goes on where this stopped`
    : `, and asks to be left alone for ${seconds(retryAfterMs)}; try again then, or set HF_TOKEN, for which more is allowed`;
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`;
}
