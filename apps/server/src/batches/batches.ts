import { randomBytes } from "node:crypto";

import { ApiError } from "../http/api-error";

import { COMPLETION_WINDOW_MS, type BatchSettings } from "./batch-settings";
import type { BatchStore } from "./batch-store";
import type { BatchEndpoint } from "./run-line";
import { hasEnded, withStatus, type Counts, type StoredBatch } from "./stored-batch";
import type { StoredFile } from "./stored-file";
import type { WorkQueue } from "./work-queue";

/** A batch as it is now. */
export interface BatchNow extends StoredBatch {
  readonly counts: Counts;
}

export interface NewBatch {
  readonly inputFile: string;
  readonly endpoint: BatchEndpoint;
  readonly metadata: Readonly<Record<string, string>> | null;
}

/**
 * Files and batches, as their owners see them: what belongs to somebody else is not found.
 *
 * Every method throws an `ApiError` where the request is at fault, and one with status 503 where Redis is out of reach.
 */
export class Batches implements AsyncDisposable {
  constructor(
    /** The largest file taken, in bytes. */
    readonly maxFileBytes: number,
    private readonly store: BatchStore,
    private readonly queue: Pick<WorkQueue, "addStep">,
    private readonly settings: Pick<BatchSettings, "keepMs">,
    private readonly stopCancelled: () => Promise<void>,
    private readonly close: () => Promise<void>,
  ) {}

  async createFile(owner: string, filename: string, content: Blob): Promise<StoredFile> {
    if (content.size > this.maxFileBytes) {
      const message = `the file has ${content.size} bytes, and at most ${this.maxFileBytes} are taken`;
      throw new ApiError(413, "invalid_request_error", message, { param: "file", code: "file_too_large" });
    }
    const now = Date.now();
    const file = {
      id: `file-${randomBytes(12).toString("hex")}`,
      owner,
      filename,
      purpose: "batch" as const,
      createdAt: now,
      expiresAt: now + this.settings.keepMs,
    };
    return this.store.putFile(file, content.stream(), true);
  }

  files(owner: string): Promise<StoredFile[]> {
    return this.store.files(owner);
  }

  async file(owner: string, id: string): Promise<StoredFile> {
    const file = await this.store.file(id);
    if (file?.owner !== owner) throw new ApiError(404, "not_found_error", `there is no file "${id}"`, { param: "id" });
    return file;
  }

  async content(owner: string, id: string): Promise<{ file: StoredFile; content: AsyncIterable<Uint8Array> }> {
    return { file: await this.file(owner, id), content: this.store.content(id) };
  }

  async deleteFile(owner: string, id: string): Promise<void> {
    const file = await this.file(owner, id);
    const user = (await this.store.batches(owner)).find((batch) => batch.inputFile === id && !hasEnded(batch));
    if (user !== undefined) {
      const message = `"${id}" is the input of ${user.id}, which is ${user.status}: cancel it first`;
      throw new ApiError(409, "invalid_request_error", message, { param: "id", code: "file_in_use" });
    }
    await this.store.deleteFile(file);
  }

  async createBatch(owner: string, { inputFile, endpoint, metadata }: NewBatch): Promise<BatchNow> {
    const file = await this.file(owner, inputFile).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      throw new ApiError(404, "not_found_error", error.message, { param: "input_file_id" });
    });
    if (file.purpose !== "batch") {
      const message = `the file "${file.id}" has the purpose "${file.purpose}", expected "batch"`;
      throw new ApiError(400, "invalid_request_error", message, { param: "input_file_id" });
    }
    const now = Date.now();
    const batch: StoredBatch = {
      id: `batch_${randomBytes(12).toString("hex")}`,
      owner,
      endpoint,
      inputFile: file.id,
      metadata: metadata === null ? null : { ...metadata },
      status: "validating",
      createdAt: now,
      expiresAt: now + COMPLETION_WINDOW_MS,
      total: 0,
      counts: null,
      errors: null,
      outputFile: null,
      errorFile: null,
      reached: {},
    };
    await this.store.keepFile(file.id, batch.expiresAt + this.settings.keepMs);
    await this.store.addBatch(batch);
    await this.queue.addStep("expand", batch.id);
    return this.#now(batch);
  }

  async batches(owner: string): Promise<StoredBatch[]> {
    return this.store.batches(owner);
  }

  async batch(owner: string, id: string): Promise<BatchNow> {
    return this.#now(await this.#owned(owner, id));
  }

  /** A batch with its progress. */
  async #now(batch: StoredBatch): Promise<BatchNow> {
    if (batch.counts !== null) return { ...batch, counts: batch.counts };
    const counts = await this.store.counts(batch.id);
    // It may have ended in between, and then they are in the record and counted apart no more.
    const again = await this.store.batch(batch.id);
    return { ...(again ?? batch), counts: again?.counts ?? counts };
  }

  /** The progress of several. */
  withCounts(batches: readonly StoredBatch[]): Promise<BatchNow[]> {
    return Promise.all(batches.map((batch) => this.#now(batch)));
  }

  /** Stops a batch. Answers that are there become files; lines that run are broken off. */
  async cancelBatch(owner: string, id: string): Promise<BatchNow> {
    await this.#owned(owner, id);
    const cancelling = await this.store.updateBatch(id, (batch) =>
      batch.status === "validating" || batch.status === "in_progress" ? withStatus(batch, "cancelling") : null,
    );
    const batch = cancelling ?? (await this.#owned(owner, id));
    if (batch.status !== "cancelling" && batch.status !== "cancelled") {
      const message = `${id} is ${batch.status}: only one that is validating or in_progress can be cancelled`;
      throw new ApiError(409, "invalid_request_error", message, { param: "id", code: "batch_ended" });
    }
    if (cancelling !== null) {
      await this.queue.addStep("finish", id);
      await this.stopCancelled();
    }
    return this.#now(batch);
  }

  /** Takes no more lines, and waits for those that run for a while; with Redis others go on with the rest. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #owned(owner: string, id: string): Promise<StoredBatch> {
    const batch = await this.store.batch(id);
    if (batch?.owner !== owner)
      throw new ApiError(404, "not_found_error", `there is no batch "${id}"`, { param: "id" });
    return batch;
  }
}
