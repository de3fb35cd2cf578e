import { setTimeout as sleep } from "node:timers/promises";

import type { BatchSettings } from "./batch-settings";
import { retryPause, TryAgain, type LineTask, type QueueWork, type StepKind, type WorkQueue } from "./work-queue";

/** A queue in this process: steps one at a time, lines `concurrency` at a time, each kind first come, first served. */
export class MemoryQueue implements WorkQueue {
  readonly #closing = new AbortController();
  readonly #giveUp = new AbortController();
  readonly #steps: string[] = [];
  readonly #lines: { readonly task: LineTask; readonly tries: number }[] = [];
  readonly #running = new Set<Promise<void>>();
  #head = 0;
  #work: QueueWork | null = null;
  #lineCount = 0;
  #stepping = false;
  #delayed = 0;

  constructor(
    private readonly settings: Pick<BatchSettings, "concurrency" | "retryMs" | "graceMs">,
    private readonly log: (message: string) => void,
  ) {}

  addStep(_kind: StepKind, batch: string): Promise<void> {
    if (!this.#steps.includes(batch)) this.#steps.push(batch);
    this.#pump();
    return Promise.resolve();
  }

  addLines(tasks: readonly LineTask[]): Promise<void> {
    for (const task of tasks) this.#lines.push({ task, tries: 0 });
    this.#pump();
    return Promise.resolve();
  }

  isEmpty(): Promise<boolean> {
    return Promise.resolve(
      this.#running.size === 0 && this.#delayed === 0 && this.#steps.length === 0 && this.#head === this.#lines.length,
    );
  }

  start(work: QueueWork): Promise<void> {
    this.#work = work;
    this.#pump();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    const all = Promise.all(this.#running);
    await Promise.race([all, sleep(this.settings.graceMs, undefined, { ref: false })]);
    this.#giveUp.abort();
    await all;
  }

  #pump(): void {
    const work = this.#work;
    if (work === null || this.#closing.signal.aborted) return;
    if (!this.#stepping) {
      const batch = this.#steps.shift();
      if (batch !== undefined) {
        this.#stepping = true;
        this.#run(this.#step(work, batch));
      }
    }
    while (this.#lineCount < this.settings.concurrency && this.#head < this.#lines.length) {
      const next = this.#lines[this.#head++];
      // Taken from the front in bulk: one by one would move the whole array each time.
      if (this.#head > 1024 && this.#head * 2 > this.#lines.length) {
        this.#lines.splice(0, this.#head);
        this.#head = 0;
      }
      if (next === undefined) break;
      this.#lineCount++;
      this.#run(this.#line(work, next.task, next.tries));
    }
  }

  #run(job: Promise<void>): void {
    const settled = job.finally(() => {
      this.#running.delete(settled);
      this.#pump();
    });
    this.#running.add(settled);
  }

  async #step(work: QueueWork, batch: string): Promise<void> {
    try {
      await work.step(batch);
    } catch (error) {
      this.log(`a step of ${batch} failed: ${String(error)}`);
    } finally {
      this.#stepping = false;
    }
  }

  async #line(work: QueueWork, task: LineTask, tries: number): Promise<void> {
    try {
      await work.line(task, { tries, deaths: 0, signal: this.#giveUp.signal });
    } catch (error) {
      if (this.#giveUp.signal.aborted) return;
      if (!(error instanceof TryAgain)) this.log(`line ${task.line} of ${task.batch} is tried again: ${String(error)}`);
      this.#later(task, tries + 1);
    } finally {
      this.#lineCount--;
    }
  }

  #later(task: LineTask, tries: number): void {
    this.#delayed++;
    setTimeout(
      () => {
        this.#delayed--;
        this.#lines.push({ task, tries });
        this.#pump();
      },
      retryPause(tries, this.settings.retryMs),
    ).unref();
  }
}
