import { setTimeout as sleep } from "node:timers/promises";

import { z } from "@hono/zod-openapi";
import { Queue, WaitingError, Worker, type Job, type JobsOptions, type WorkerOptions } from "bullmq";

import type { BatchSettings } from "./batch-settings";
import type { RedisConnection } from "./redis-connection";
import { retryPause, TryAgain, type LineTask, type QueueWork, type StepKind, type WorkQueue } from "./work-queue";

const stepData = z.object({ batch: z.string() });
const lineData = z.object({ batch: z.string(), line: z.number(), text: z.string() });

/**
 * No job is ever given up by BullMQ: how often a line is tried, and how often it may bring its process down, is decided
 * where its failure can be written down.
 */
const FOR_EVER = 1_000_000_000;
const JOB: JobsOptions = {
  attempts: FOR_EVER,
  backoff: { type: "custom" },
  removeOnComplete: true,
  removeOnFail: true,
  stackTraceLimit: 1,
};

/** How long it is waited for lines that were told to stop, in ms. */
const STOP_MS = 2000;

/**
 * A queue in Redis, shared by any number of processes. A line whose process is lost goes back into the queue when its
 * lock has run out.
 */
export class RedisQueue implements WorkQueue {
  readonly #giveUp = new AbortController();
  readonly #steps: Queue<unknown>;
  readonly #lines: Queue<unknown>;
  readonly #workers: Worker<unknown>[] = [];
  #lastError = "";

  constructor(
    private readonly connection: RedisConnection,
    private readonly prefix: string,
    private readonly settings: Pick<BatchSettings, "concurrency" | "retryMs" | "graceMs" | "lockMs" | "watchMs">,
    private readonly log: (message: string) => void,
  ) {
    const options = { connection: connection.redis, prefix, defaultJobOptions: JOB };
    this.#steps = new Queue("batch-steps", options);
    this.#lines = new Queue("batch-lines", options);
    for (const queue of [this.#steps, this.#lines])
      queue.on("error", (error) => {
        this.#tell(error);
      });
  }

  async addStep(kind: StepKind, batch: string): Promise<void> {
    await this.connection.ask(() => this.#steps.add(kind, { batch }, { jobId: `${kind}-${batch}` }));
  }

  async addLines(tasks: readonly LineTask[]): Promise<void> {
    if (tasks.length === 0) return;
    const jobs = tasks.map((task) => ({ name: "line", data: task, opts: { jobId: `${task.batch}-${task.line}` } }));
    await this.connection.ask(() => this.#lines.addBulk(jobs));
  }

  isEmpty(): Promise<boolean> {
    return this.connection.ask(async () => {
      const counts = [await this.#steps.getJobCounts(), await this.#lines.getJobCounts()];
      const waiting = ["wait", "active", "delayed", "prioritized", "paused"] as const;
      return counts.every((count) => waiting.every((state) => (count[state] ?? 0) === 0));
    });
  }

  async start(work: QueueWork): Promise<void> {
    this.#take(this.#steps.name, 1, (job) => work.step(stepData.parse(job.data).batch));
    this.#take(this.#lines.name, this.settings.concurrency, (job, token) => this.#line(work, job, token));
    await Promise.all(this.#workers.map((worker) => worker.waitUntilReady()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const within = (job: Promise<unknown>, ms: number): Promise<boolean> =>
      Promise.race([job.then(() => true), sleep(ms, false, { ref: false })]);
    const closed = Promise.allSettled(this.#workers.map((worker) => worker.close()));
    if (!(await within(closed, this.settings.graceMs))) {
      this.#giveUp.abort();
      // Where Redis is lost too, nothing can be given back, and the locks run out.
      if (!(await within(closed, STOP_MS))) {
        await within(Promise.allSettled(this.#workers.map((worker) => worker.close(true))), STOP_MS);
      }
    }
    await within(Promise.allSettled([this.#steps.close(), this.#lines.close()]), STOP_MS);
  }

  #take(name: string, concurrency: number, run: (job: Job<unknown>, token?: string) => Promise<void>): void {
    const { lockMs, watchMs, retryMs } = this.settings;
    const options: WorkerOptions = {
      connection: this.connection.waiting(),
      prefix: this.prefix,
      concurrency,
      lockDuration: lockMs,
      stalledInterval: watchMs,
      maxStalledCount: FOR_EVER,
      settings: { backoffStrategy: (tries) => retryPause(tries, retryMs) },
    };
    const worker = new Worker<unknown>(name, run, options);
    worker.on("error", (error) => {
      this.#tell(error);
    });
    worker.on("failed", (job, error) => {
      if (!(error instanceof TryAgain)) this.log(`${name} ${job?.id ?? "?"} is tried again: ${error.message}`);
    });
    this.#workers.push(worker);
  }

  async #line(work: QueueWork, job: Job<unknown>, token: string | undefined): Promise<void> {
    const { signal } = this.#giveUp;
    try {
      await work.line(lineData.parse(job.data), { tries: job.attemptsMade, deaths: job.stalledCounter, signal });
    } catch (error) {
      if (!signal.aborted) throw error;
      await job.moveToWait(token);
      throw new WaitingError();
    }
  }

  /** The same trouble again and again is told once. */
  #tell(error: Error): void {
    if (error.message === this.#lastError) return;
    this.#lastError = error.message;
    this.log(`the queue in Redis: ${error.message}`);
  }
}
