import { BatchWork } from "./batch-work";
import { DEFAULT_SETTINGS, type BatchSettings } from "./batch-settings";
import type { BatchStore } from "./batch-store";
import { Batches } from "./batches";
import { MemoryQueue } from "./memory-queue";
import { MemoryStore } from "./memory-store";
import { connectRedis, type RedisConnection } from "./redis-connection";
import { RedisQueue } from "./redis-queue";
import { RedisStore } from "./redis-store";
import type { RunLine } from "./run-line";
import type { WorkQueue } from "./work-queue";

/** What every key in Redis begins with; the model's name follows. */
const PREFIX = "winnow";

export interface BatchOptions extends Partial<BatchSettings> {
  /** `redis://HOST:PORT`: batches live there, and every process with the same address works on them. */
  readonly redisUrl?: string;
  /** The model that answers: servers of other models may use the same Redis. */
  readonly model: string;
  readonly run: RunLine;
  /** Told of lines that fail, and of Redis lost and found again. */
  readonly log?: (message: string) => void;
  /** Told of batches that end. */
  readonly note?: (message: string) => void;
}

/**
 * Starts taking batches: in this process, or in Redis.
 *
 * @throws one line where Redis is out of reach
 */
export async function openBatches(options: BatchOptions): Promise<Batches> {
  const { redisUrl, model, run, log = () => undefined, note = () => undefined, ...rest } = options;
  const settings = { ...DEFAULT_SETTINGS, ...rest };
  const connection = redisUrl === undefined ? null : await connectRedis(redisUrl, log);
  const { store, queue } = parts(connection, `${PREFIX}:${model}`, settings, log);
  const work = new BatchWork(store, queue, run, settings, log, note);
  const quietly = (job: () => Promise<void>) => (): void => {
    job().catch((error: unknown) => {
      // Redis out of reach is told by its connection.
      if (connection?.redis.status === "ready") log(`looking after batches failed: ${String(error)}`);
    });
  };
  const timers = [
    setInterval(
      quietly(() => work.stopCancelled()),
      settings.watchMs,
    ),
    setInterval(
      quietly(() => work.sweep()),
      settings.sweepMs,
    ),
  ];
  for (const timer of timers) timer.unref();
  await queue.start(work);
  quietly(() => work.sweep())();
  return new Batches(
    settings.maxFileBytes,
    store,
    queue,
    settings,
    () => work.stopCancelled(),
    async () => {
      for (const timer of timers) clearInterval(timer);
      await queue[Symbol.asyncDispose]();
      connection?.[Symbol.dispose]();
    },
  );
}

function parts(
  connection: RedisConnection | null,
  prefix: string,
  settings: BatchSettings,
  log: (message: string) => void,
): { store: BatchStore; queue: WorkQueue } {
  if (connection === null) return { store: new MemoryStore(settings), queue: new MemoryQueue(settings, log) };
  return {
    store: new RedisStore(connection, prefix, settings),
    queue: new RedisQueue(connection, prefix, settings, log),
  };
}
