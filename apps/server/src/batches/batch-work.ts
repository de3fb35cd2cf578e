import { createHash } from "node:crypto";

import { ApiError } from "../http/api-error";

import { readBatchRequest } from "./batch-request";
import type { BatchSettings } from "./batch-settings";
import type { BatchStore } from "./batch-store";
import { checkInput } from "./check-input";
import { inputLines } from "./input-lines";
import { answeredLine, unansweredLine, type LineResult } from "./line-result";
import type { RunLine } from "./run-line";
import { hasEnded, withStatus, type StoredBatch } from "./stored-batch";
import { TryAgain, type Attempt, type LineTask, type QueueWork, type WorkQueue } from "./work-queue";

/** Lines added to the queue, or results read, at once. */
const CHUNK = 500;

/**
 * What is done for a batch, whichever process does it and however often: every part looks at what is stored, so that
 * it can be broken off anywhere and done again.
 */
export class BatchWork implements QueueWork {
  /** The lines that run in this process, so that those of a cancelled batch can be stopped. */
  readonly #running = new Map<string, Set<AbortController>>();

  constructor(
    private readonly store: BatchStore,
    private readonly queue: WorkQueue,
    private readonly run: RunLine,
    private readonly settings: Pick<BatchSettings, "maxLines" | "maxTries" | "maxDeaths" | "keepMs">,
    private readonly log: (message: string) => void,
    private readonly note: (message: string) => void,
  ) {}

  /** Takes a batch as far as it goes without running lines. */
  async step(id: string): Promise<void> {
    let batch = await this.store.batch(id);
    if (batch?.status === "validating") batch = await this.#validate(batch);
    if (batch?.status === "in_progress") batch = await this.#expand(batch);
    if (batch?.status === "cancelling" || batch?.status === "finalizing") batch = await this.#finish(batch);
    // What was broken off between its last two writes.
    if (batch !== null && hasEnded(batch)) await this.store.closeBatch(batch);
  }

  async line(task: LineTask, attempt: Attempt): Promise<void> {
    const batch = await this.store.batch(task.batch);
    // Whoever noted that all lines are done may have been lost before it asked for the files.
    if (batch?.status === "finalizing") await this.queue.addStep("finish", batch.id);
    if (batch?.status !== "in_progress") return;
    if (await this.store.hasResult(batch.id, task.line)) {
      // Whoever wrote it may have been lost before it looked whether that was the last one.
      await this.#lookForEnd(batch);
      return;
    }
    const result = await this.#resultOf(batch, task, attempt);
    if (result === null) return;
    const results = await this.store.addResult(batch.id, task.line, result);
    if (results >= batch.total) await this.#lookForEnd(batch);
  }

  /** Stops the lines of batches that were cancelled, perhaps by another process. */
  async stopCancelled(): Promise<void> {
    for (const [id, lines] of this.#running) {
      const batch = await this.store.batch(id);
      if (batch?.status !== "in_progress") for (const line of lines) line.abort();
    }
  }

  /** Takes up batches whose next step nobody has asked for, because the process that was to do so was lost. */
  async sweep(): Promise<void> {
    const unfinished = await this.store.unfinished();
    if (unfinished.length === 0) return;
    const idle = await this.queue.isEmpty();
    for (const id of unfinished) {
      const batch = await this.store.batch(id);
      if (batch === null) continue;
      // While its lines wait or run, a batch in progress needs nothing.
      if (batch.status === "in_progress" && !idle) continue;
      const starting = batch.status === "validating" || batch.status === "in_progress";
      await this.queue.addStep(starting ? "expand" : "finish", id);
    }
  }

  async #validate(batch: StoredBatch): Promise<StoredBatch | null> {
    const { total, errors } = await this.#checked(batch);
    const changed = await this.store.updateBatch(batch.id, (now) => {
      if (now.status !== "validating") return null;
      return errors.length > 0
        ? withStatus(now, "failed", { errors: [...errors], counts: { completed: 0, failed: 0 } })
        : withStatus(now, "in_progress", { total });
    });
    return changed ?? this.store.batch(batch.id);
  }

  async #checked(batch: StoredBatch): ReturnType<typeof checkInput> {
    if ((await this.store.file(batch.inputFile)) === null) {
      const message = `the input file ${batch.inputFile} is gone`;
      return { total: 0, errors: [{ code: "invalid_file", message, line: null, param: "input_file_id" }] };
    }
    return checkInput(this.store.content(batch.inputFile), batch.endpoint, this.settings.maxLines);
  }

  /** Puts every line that has no result into the queue. */
  async #expand(batch: StoredBatch): Promise<StoredBatch | null> {
    let chunk: LineTask[] = [];
    let lines = 0;
    const add = async (): Promise<boolean> => {
      const [first, last] = [chunk[0], chunk.at(-1)];
      if (first === undefined || last === undefined) return true;
      const now = await this.store.batch(batch.id);
      if (now?.status !== "in_progress") return false;
      const results = await this.store.results(batch.id, first.line, last.line + 1);
      await this.queue.addLines(chunk.filter((_, i) => results[i] === null));
      chunk = [];
      return true;
    };
    for await (const { index, text } of inputLines(this.store.content(batch.inputFile))) {
      lines++;
      chunk.push({ batch: batch.id, line: index, text });
      if (chunk.length === CHUNK && !(await add())) return this.store.batch(batch.id);
    }
    await add();
    if (lines < batch.total) {
      const message = `the input file ${batch.inputFile} is gone`;
      const errors = [{ code: "invalid_file", message, line: null, param: "input_file_id" }];
      const counts = await this.store.counts(batch.id);
      await this.store.updateBatch(batch.id, (now) =>
        now.status === "in_progress" ? withStatus(now, "failed", { errors, counts }) : null,
      );
      return this.store.batch(batch.id);
    }
    await this.#lookForEnd(batch);
    return this.store.batch(batch.id);
  }

  async #lookForEnd(batch: StoredBatch): Promise<void> {
    const { completed, failed } = await this.store.counts(batch.id);
    if (completed + failed < batch.total) return;
    const finalizing = await this.store.updateBatch(batch.id, (now) =>
      now.status === "in_progress" ? withStatus(now, "finalizing") : null,
    );
    if (finalizing !== null) await this.queue.addStep("finish", batch.id);
  }

  /** Results are taken no more: they become files. Done twice, it writes the same files again. */
  async #finish(batch: StoredBatch): Promise<StoredBatch | null> {
    const counts = await this.store.counts(batch.id);
    const [outputFile, errorFile] = [
      counts.completed === 0 ? null : await this.#putResults(batch, "completed", "output"),
      counts.failed === 0 ? null : await this.#putResults(batch, "failed", "error"),
    ];
    const ended = await this.store.updateBatch(batch.id, (now) => {
      if (now.status !== "finalizing" && now.status !== "cancelling") return null;
      const overdue = now.expiresAt <= (now.reached.finalizing ?? 0);
      const status = now.status === "cancelling" ? "cancelled" : overdue ? "expired" : "completed";
      return withStatus(now, status, { counts, outputFile, errorFile });
    });
    if (ended !== null) {
      this.note(
        `${ended.id} ${ended.status}: ${counts.completed} of ${ended.total} lines completed, ${counts.failed} failed`,
      );
    }
    return ended;
  }

  async #putResults(batch: StoredBatch, outcome: LineResult["outcome"], name: string): Promise<string> {
    const id = `file-${createHash("sha256").update(`${batch.id}/${name}`).digest("hex").slice(0, 24)}`;
    const now = Date.now();
    const filename = `${batch.id}_${name}.jsonl`;
    const times = { createdAt: now, expiresAt: now + this.settings.keepMs };
    const file = { id, owner: batch.owner, filename, purpose: "batch_output" as const, ...times };
    await this.store.putFile(file, this.#resultText(batch, outcome), false);
    return id;
  }

  async *#resultText(batch: StoredBatch, outcome: LineResult["outcome"]): AsyncGenerator<Uint8Array> {
    for (let from = 0; from < batch.total; from += CHUNK) {
      const results = await this.store.results(batch.id, from, Math.min(from + CHUNK, batch.total));
      const wanted = results.filter((result) => result?.outcome === outcome);
      const text = wanted.map((result) => `${result?.text ?? ""}\n`).join("");
      if (text !== "") yield Buffer.from(text);
    }
  }

  /** Null where the batch was cancelled meanwhile. */
  async #resultOf(batch: StoredBatch, task: LineTask, attempt: Attempt): Promise<LineResult | null> {
    const read = readBatchRequest(task.text, batch.endpoint);
    if ("fault" in read) throw new Error(`line ${task.line} of ${batch.id} was valid once: ${read.fault.message}`);
    const { customId, body } = read.request;
    const unanswered = (code: string, message: string): LineResult =>
      unansweredLine(batch.id, task.line, customId, { code, message });
    if (batch.expiresAt <= Date.now()) {
      return unanswered("batch_expired", "the line was not run within the completion window");
    }
    if (attempt.deaths >= this.settings.maxDeaths) {
      return unanswered("worker_lost", `the process that ran the line was lost ${attempt.deaths} times`);
    }
    const answer = await this.#answer(batch, body, attempt.signal);
    if (answer === null) return null;
    // A machine that is busy, or ends, has not tried: the line waits until its batch expires.
    const refused = answer.status === 429 || answer.status === 503;
    if (refused || (answer.status >= 500 && attempt.tries + 1 < this.settings.maxTries)) {
      throw new TryAgain(`line ${task.line} of ${batch.id} was answered with ${answer.status}`);
    }
    return answeredLine(batch.id, task.line, customId, answer);
  }

  async #answer(
    { id, endpoint }: StoredBatch,
    body: unknown,
    closing: AbortSignal,
  ): Promise<{ readonly status: number; readonly body: unknown } | null> {
    const cancel = new AbortController();
    const lines = this.#running.get(id) ?? new Set();
    this.#running.set(id, lines.add(cancel));
    try {
      const answer = await this.run(endpoint, body, AbortSignal.any([closing, cancel.signal]));
      // An answer that was broken off is none.
      closing.throwIfAborted();
      return cancel.signal.aborted ? null : answer;
    } catch (error) {
      closing.throwIfAborted();
      if (cancel.signal.aborted) return null;
      if (error instanceof ApiError) return { status: error.status, body: error.toJSON() };
      this.log(`a line of ${id} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      const message = error instanceof Error ? error.message : String(error);
      return { status: 500, body: new ApiError(500, "server_error", message).toJSON() };
    } finally {
      lines.delete(cancel);
      if (lines.size === 0) this.#running.delete(id);
    }
  }
}
