import type { z } from "@hono/zod-openapi";

import { ApiError } from "../http/api-error";

import { COMPLETION_WINDOW_MS, type BatchSettings } from "./batch-settings";
import type { BatchStore } from "./batch-store";
import type { LineResult } from "./line-result";
import type { RedisConnection } from "./redis-connection";
import { storedBatch, type Counts, type StoredBatch } from "./stored-batch";
import { storedFile, type StoredFile } from "./stored-file";

/** Files are kept in pieces of this many bytes, so that no command of Redis takes long. */
const CHUNK_BYTES = 2 ** 20;
/** Changes of a record that others got ahead of, before it is given up. */
const MAX_COLLISIONS = 100;

/** Replaces a record unless another process has done so. */
const REPLACE = `
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[2], 'KEEPTTL')
return 1`;

/** Files the first result of a line, counts it, and tells how many there are, in one go. */
const ADD_RESULT = `
local record = redis.call('get', KEYS[1])
if not record then return 0 end
if cjson.decode(record).status == 'in_progress' and redis.call('hsetnx', KEYS[2], ARGV[1], ARGV[2]) == 1 then
  redis.call('hincrby', KEYS[3], ARGV[3], 1)
  redis.call('pexpire', KEYS[2], ARGV[4])
  redis.call('pexpire', KEYS[3], ARGV[4])
end
return redis.call('hlen', KEYS[2])`;

/** Batches in Redis, for any number of processes. Every key goes by itself some time after it was last of use. */
export class RedisStore implements BatchStore {
  constructor(
    private readonly connection: RedisConnection,
    private readonly prefix: string,
    private readonly settings: Pick<BatchSettings, "keepMs">,
  ) {}

  async putFile(meta: Omit<StoredFile, "bytes">, content: AsyncIterable<Uint8Array>): Promise<StoredFile> {
    const key = this.#key("content", meta.id);
    const ttl = Math.max(meta.expiresAt - Date.now(), 1);
    let bytes = 0;
    let chunks = 0;
    for await (const piece of content) {
      for (let start = 0; start < piece.length; start += CHUNK_BYTES) {
        const chunk = Buffer.from(piece.subarray(start, start + CHUNK_BYTES));
        bytes += chunk.length;
        const place = String(chunks++);
        await this.#all((pipeline) => pipeline.hset(key, place, chunk).pexpire(key, ttl));
      }
    }
    const file = { ...meta, bytes };
    const list = this.#key("files", file.owner);
    // Last, so that no file is found that has only half of its content.
    await this.#all((pipeline) =>
      pipeline
        .set(this.#key("file", file.id), JSON.stringify(file), "PX", ttl)
        .zadd(list, file.createdAt, file.id)
        .pexpire(list, COMPLETION_WINDOW_MS + this.settings.keepMs),
    );
    return file;
  }

  async file(id: string): Promise<StoredFile | null> {
    const text = await this.connection.ask((redis) => redis.get(this.#key("file", id)));
    return text === null ? null : parseRecord(storedFile, text);
  }

  async *content(id: string): AsyncGenerator<Uint8Array> {
    for (let place = 0; ; place++) {
      const chunk = await this.connection.ask((redis) => redis.hgetBuffer(this.#key("content", id), String(place)));
      if (chunk === null) return;
      yield chunk;
    }
  }

  files(owner: string): Promise<StoredFile[]> {
    return this.#list("files", "file", owner, storedFile);
  }

  async deleteFile({ id, owner }: StoredFile): Promise<void> {
    await this.#all((pipeline) =>
      pipeline.del(this.#key("file", id), this.#key("content", id)).zrem(this.#key("files", owner), id),
    );
  }

  async keepFile(id: string, expiresAt: number): Promise<void> {
    const file = await this.file(id);
    if (file === null || file.expiresAt >= expiresAt) return;
    const text = JSON.stringify({ ...file, expiresAt });
    await this.#all((pipeline) =>
      pipeline
        .pexpireat(this.#key("content", id), expiresAt)
        .set(this.#key("file", id), text, "PXAT", expiresAt, "XX")
        .pexpireat(this.#key("files", file.owner), expiresAt + this.settings.keepMs),
    );
  }

  async addBatch(batch: StoredBatch): Promise<void> {
    const list = this.#key("batches", batch.owner);
    const ttl = COMPLETION_WINDOW_MS + this.settings.keepMs;
    await this.#all((pipeline) =>
      pipeline
        .set(this.#key("batch", batch.id), JSON.stringify(batch), "PX", ttl)
        .zadd(list, batch.createdAt, batch.id)
        .pexpire(list, ttl * 2)
        .sadd(this.#key("unfinished"), batch.id),
    );
  }

  async batch(id: string): Promise<StoredBatch | null> {
    const text = await this.connection.ask((redis) => redis.get(this.#key("batch", id)));
    return text === null ? null : parseRecord(storedBatch, text);
  }

  batches(owner: string): Promise<StoredBatch[]> {
    return this.#list("batches", "batch", owner, storedBatch);
  }

  async unfinished(): Promise<string[]> {
    const ids = await this.connection.ask((redis) => redis.smembers(this.#key("unfinished")));
    const open: string[] = [];
    for (const id of ids) {
      if ((await this.batch(id)) !== null) open.push(id);
      else await this.connection.ask((redis) => redis.srem(this.#key("unfinished"), id));
    }
    return open;
  }

  updateBatch(id: string, change: (batch: StoredBatch) => StoredBatch | null): Promise<StoredBatch | null> {
    return this.connection.ask(async (redis) => {
      const key = this.#key("batch", id);
      for (let collisions = 0; collisions < MAX_COLLISIONS; collisions++) {
        const before = await redis.get(key);
        const changed = before === null ? null : change(parseRecord(storedBatch, before));
        if (before === null || changed === null) return null;
        if ((await redis.eval(REPLACE, 1, key, before, JSON.stringify(changed))) === 1) return changed;
      }
      throw new Error(`${id} was changed by others ${MAX_COLLISIONS} times in a row`);
    });
  }

  async addResult(batch: string, line: number, { outcome, text }: LineResult): Promise<number> {
    const keys = [this.#key("batch", batch), this.#key("results", batch), this.#key("counts", batch)];
    const ttl = COMPLETION_WINDOW_MS + this.settings.keepMs;
    const found = await this.connection.ask((redis) =>
      redis.eval(ADD_RESULT, keys.length, ...keys, String(line), `${outcome} ${text}`, outcome, ttl),
    );
    return Number(found);
  }

  async hasResult(batch: string, line: number): Promise<boolean> {
    return (await this.connection.ask((redis) => redis.hexists(this.#key("results", batch), String(line)))) === 1;
  }

  async results(batch: string, from: number, to: number): Promise<(LineResult | null)[]> {
    const places = Array.from({ length: to - from }, (_, i) => String(from + i));
    const texts = await this.connection.ask((redis) => redis.hmget(this.#key("results", batch), ...places));
    return texts.map((text) => (text === null ? null : parseResult(text)));
  }

  async counts(batch: string): Promise<Counts> {
    const [completed, failed] = await this.connection.ask((redis) =>
      redis.hmget(this.#key("counts", batch), "completed", "failed"),
    );
    return { completed: Number(completed ?? 0), failed: Number(failed ?? 0) };
  }

  async closeBatch({ id }: StoredBatch): Promise<void> {
    await this.#all((pipeline) =>
      pipeline
        .del(this.#key("results", id), this.#key("counts", id))
        .pexpire(this.#key("batch", id), this.settings.keepMs)
        .srem(this.#key("unfinished"), id),
    );
  }

  #key(...parts: string[]): string {
    return [this.prefix, ...parts].join(":");
  }

  async #list<T>(listName: string, recordName: string, owner: string, schema: z.ZodType<T>): Promise<T[]> {
    const list = this.#key(listName, owner);
    const ids = await this.connection.ask((redis) => redis.zrevrange(list, 0, -1));
    if (ids.length === 0) return [];
    const texts = await this.connection.ask((redis) => redis.mget(ids.map((id) => this.#key(recordName, id))));
    const gone = ids.filter((_, i) => texts[i] == null);
    if (gone.length > 0) await this.connection.ask((redis) => redis.zrem(list, ...gone));
    return texts.filter((text) => text !== null).map((text) => parseRecord(schema, text));
  }

  /** Several commands in one transaction. */
  async #all(commands: (pipeline: Pipeline) => Pipeline): Promise<void> {
    await this.connection.ask(async (redis) => {
      const results = await commands(redis.multi()).exec();
      for (const [error] of results ?? []) if (error !== null) throw error;
    });
  }
}

type Pipeline = ReturnType<RedisConnection["redis"]["multi"]>;

function parseRecord<T>(schema: z.ZodType<T>, text: string): T {
  const parsed = schema.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  // Perhaps another version of this program wrote it.
  throw new ApiError(
    503,
    "server_error",
    `Redis holds a record that this server does not know: ${parsed.error.message}`,
  );
}

function parseResult(text: string): LineResult {
  const space = text.indexOf(" ");
  return { outcome: text.slice(0, space) === "completed" ? "completed" : "failed", text: text.slice(space + 1) };
}
