import { WinnowError } from "@winnow/core-tensor";
import { Redis } from "ioredis";

import { ApiError } from "../http/api-error";

/** How long Redis may take for an answer, in ms, before a request is refused. */
const ANSWER_MS = 5000;

/** A connection whose commands fail at once while Redis is out of reach, instead of waiting for it. */
export interface RedisConnection extends Disposable {
  readonly redis: Redis;
  /** A further connection, whose commands wait: what BullMQ's workers want. */
  waiting(): Redis;
  /**
   * Runs commands.
   *
   * @throws ApiError with status 503 where Redis does not answer or refuses
   */
  ask<T>(commands: (redis: Redis) => Promise<T>): Promise<T>;
}

/**
 * @param url `redis://` or `rediss://`, with a password where there is one
 * @param log told when Redis is lost and found again
 * @throws WinnowError `usage` where the address is none or Redis is out of reach
 */
export async function connectRedis(url: string, log: (message: string) => void): Promise<RedisConnection> {
  const where = describe(url);
  const common = {
    lazyConnect: true,
    connectTimeout: ANSWER_MS,
    retryStrategy: (times: number) => Math.min(times * 100, 2000),
  };
  const options = { ...common, enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: ANSWER_MS };
  await tryOnce(new Redis(url, { ...options, retryStrategy: () => null }), where);

  const redis = new Redis(url, options);
  let lost = false;
  let closing = false;
  const lose = (reason: string): void => {
    if (!lost && !closing) log(`Redis at ${where} is out of reach: ${reason}`);
    lost = true;
  };
  redis.on("error", (error: unknown) => {
    lose(reasonOf(error));
  });
  redis.on("close", () => {
    lose("the connection was closed");
  });
  redis.on("ready", () => {
    if (lost) log(`Redis at ${where} is back`);
    lost = false;
  });
  await redis.connect();
  const opened = [redis];

  return {
    redis,
    waiting() {
      const connection = new Redis(url, { ...common, maxRetriesPerRequest: null });
      // Every connection that is lost would tell the same.
      connection.on("error", () => undefined);
      opened.push(connection);
      return connection;
    },
    async ask(commands) {
      try {
        return await commands(redis);
      } catch (error) {
        if (error instanceof ApiError) throw error;
        const message = `batches are out of reach for now: Redis: ${reasonOf(error)}`;
        throw new ApiError(503, "server_error", message, {
          retryAfterSeconds: 5,
          code: "storage_unavailable",
          cause: error,
        });
      }
    },
    [Symbol.dispose]() {
      closing = true;
      for (const connection of opened) connection.disconnect();
    },
  };
}

/** The address without the password. */
function describe(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !["redis:", "rediss:"].includes(parsed.protocol) || parsed.hostname === "") {
    const found = parsed === null ? `"${url}"` : `one of "${parsed.protocol}"`;
    throw new WinnowError(
      "usage",
      `the address of Redis is ${found}, expected redis://HOST:PORT or rediss://HOST:PORT`,
    );
  }
  return `${parsed.protocol}//${parsed.host}${parsed.pathname === "/" ? "" : parsed.pathname}`;
}

/** Apart from the connection that is kept, which tries again for ever. */
async function tryOnce(redis: Redis, where: string): Promise<void> {
  // `connect` says no more than that the connection is closed; the event says why.
  let reason: unknown;
  redis.on("error", (error: unknown) => {
    reason ??= error;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    throw new WinnowError(
      "usage",
      `cannot reach Redis at ${where}: ${reasonOf(reason ?? error)}; start it there, or give another address`,
      { cause: error },
    );
  } finally {
    redis.disconnect();
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
