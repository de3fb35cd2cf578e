import { z } from "@hono/zod-openapi";

import { ApiError } from "../http/api-error";

import type { BatchSettings } from "./batch-settings";
import type { BatchStore } from "./batch-store";
import { unansweredLine, type LineResult } from "./line-result";
import { hasEnded, type Counts, type StoredBatch } from "./stored-batch";
import type { StoredFile } from "./stored-file";

const named = z.object({ custom_id: z.string() });

interface KeptFile {
  file: StoredFile;
  readonly chunks: readonly Uint8Array[];
}

interface Results {
  readonly lines: Map<number, LineResult>;
  readonly counts: { completed: number; failed: number };
  bytes: number;
}

/**
 * Batches in this process's memory, gone when it ends.
 *
 * Bytes of files and results together stay within `maxMemoryBytes`: a file that does not fit is refused, and a line
 * whose answer does not fit fails. Files that are made of results take their place.
 */
export class MemoryStore implements BatchStore {
  readonly #files = new Map<string, KeptFile>();
  readonly #batches = new Map<string, StoredBatch>();
  readonly #results = new Map<string, Results>();
  #bytes = 0;

  constructor(private readonly settings: Pick<BatchSettings, "maxMemoryBytes" | "keepMs">) {}

  async putFile(
    meta: Omit<StoredFile, "bytes">,
    content: AsyncIterable<Uint8Array>,
    limited: boolean,
  ): Promise<StoredFile> {
    this.#dropExpired();
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of content) {
      bytes += chunk.length;
      chunks.push(chunk);
    }
    const { maxMemoryBytes } = this.settings;
    if (limited && this.#bytes + bytes > maxMemoryBytes) {
      const message = `the file has ${bytes} bytes, and files and results here hold ${this.#bytes} of ${maxMemoryBytes} bytes: delete files that are not needed`;
      throw new ApiError(413, "invalid_request_error", message, { param: "file", code: "storage_full" });
    }
    this.#drop(meta.id);
    const file = { ...meta, bytes };
    this.#files.set(file.id, { file, chunks });
    this.#bytes += bytes;
    return file;
  }

  file(id: string): Promise<StoredFile | null> {
    this.#dropExpired();
    return Promise.resolve(this.#files.get(id)?.file ?? null);
  }

  async *content(id: string): AsyncGenerator<Uint8Array> {
    for (const chunk of this.#files.get(id)?.chunks ?? []) yield await Promise.resolve(chunk);
  }

  files(owner: string): Promise<StoredFile[]> {
    this.#dropExpired();
    const files = [...this.#files.values()].map(({ file }) => file);
    return Promise.resolve(files.filter((file) => file.owner === owner).reverse());
  }

  deleteFile({ id }: StoredFile): Promise<void> {
    this.#drop(id);
    return Promise.resolve();
  }

  keepFile(id: string, expiresAt: number): Promise<void> {
    const kept = this.#files.get(id);
    if (kept !== undefined) kept.file = { ...kept.file, expiresAt: Math.max(kept.file.expiresAt, expiresAt) };
    return Promise.resolve();
  }

  addBatch(batch: StoredBatch): Promise<void> {
    this.#batches.set(batch.id, batch);
    this.#results.set(batch.id, { lines: new Map(), counts: { completed: 0, failed: 0 }, bytes: 0 });
    return Promise.resolve();
  }

  batch(id: string): Promise<StoredBatch | null> {
    this.#dropExpired();
    return Promise.resolve(this.#batches.get(id) ?? null);
  }

  batches(owner: string): Promise<StoredBatch[]> {
    this.#dropExpired();
    return Promise.resolve([...this.#batches.values()].filter((batch) => batch.owner === owner).reverse());
  }

  unfinished(): Promise<string[]> {
    const open = [...this.#batches.values()].filter((batch) => !hasEnded(batch));
    return Promise.resolve(open.map(({ id }) => id));
  }

  updateBatch(id: string, change: (batch: StoredBatch) => StoredBatch | null): Promise<StoredBatch | null> {
    const batch = this.#batches.get(id);
    const changed = batch === undefined ? null : change(batch);
    if (changed !== null) this.#batches.set(id, changed);
    return Promise.resolve(changed);
  }

  addResult(batch: string, line: number, result: LineResult): Promise<number> {
    const results = this.#results.get(batch);
    if (results === undefined) return Promise.resolve(0);
    if (this.#batches.get(batch)?.status === "in_progress" && !results.lines.has(line)) {
      const kept = this.#fitting(batch, line, result);
      results.lines.set(line, kept);
      results.counts[kept.outcome]++;
      results.bytes += kept.text.length;
      this.#bytes += kept.text.length;
    }
    return Promise.resolve(results.lines.size);
  }

  hasResult(batch: string, line: number): Promise<boolean> {
    return Promise.resolve(this.#results.get(batch)?.lines.has(line) ?? false);
  }

  results(batch: string, from: number, to: number): Promise<(LineResult | null)[]> {
    const lines = this.#results.get(batch)?.lines;
    return Promise.resolve(Array.from({ length: to - from }, (_, i) => lines?.get(from + i) ?? null));
  }

  counts(batch: string): Promise<Counts> {
    return Promise.resolve({ ...(this.#results.get(batch)?.counts ?? { completed: 0, failed: 0 }) });
  }

  closeBatch({ id }: StoredBatch): Promise<void> {
    this.#bytes -= this.#results.get(id)?.bytes ?? 0;
    this.#results.delete(id);
    return Promise.resolve();
  }

  #fitting(batch: string, line: number, result: LineResult): LineResult {
    const { maxMemoryBytes } = this.settings;
    if (this.#bytes + result.text.length <= maxMemoryBytes) return result;
    const { custom_id: customId } = named.parse(JSON.parse(result.text));
    const message = `the answer has ${result.text.length} characters, and files and results here hold ${this.#bytes} of ${maxMemoryBytes} bytes`;
    return unansweredLine(batch, line, customId, { code: "storage_full", message });
  }

  #drop(id: string): void {
    this.#bytes -= this.#files.get(id)?.file.bytes ?? 0;
    this.#files.delete(id);
  }

  #dropExpired(): void {
    const now = Date.now();
    for (const { file } of this.#files.values()) if (file.expiresAt <= now) this.#drop(file.id);
    for (const batch of this.#batches.values()) {
      if (hasEnded(batch) && (batch.reached[batch.status] ?? 0) + this.settings.keepMs <= now) {
        this.#batches.delete(batch.id);
      }
    }
  }
}
