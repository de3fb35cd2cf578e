import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";

import { z } from "zod";

import { repositoryRoot } from "../repository";

/** Within so many milliseconds a probe is to be answered, whatever else the server does. */
export const PROMPT_MS = 100;

const spread = z.object({ count: z.number(), p50: z.number(), p99: z.number(), max: z.number() });

const healthSchema = z.object({
  ms: spread.nullable(),
  /** Probes that took longer than {@link PROMPT_MS}. */
  late: z.number(),
  failures: z.array(z.string()),
  /** How late the probes' own timers were, which the times above contain. */
  ownDelayMs: z.object({ p99: z.number(), max: z.number() }),
});

export type HealthSeen = Readonly<z.infer<typeof healthSchema>>;

/** Asks `/health` ten times a second, whether or not it was answered before, from a thread that does nothing else. */
export class HealthWatch {
  readonly #worker: Worker;
  readonly #seen: Promise<unknown[]>;

  constructor(url: string) {
    this.#worker = new Worker(join(repositoryRoot(), "bench/dist/health-probe.js"), { workerData: url });
    // Rejects when the thread fails.
    this.#seen = once(this.#worker, "message");
    this.#seen.catch(() => undefined);
  }

  async stop(): Promise<HealthSeen> {
    this.#worker.postMessage("stop");
    const [seen] = await this.#seen;
    await this.#worker.terminate();
    return healthSchema.parse(seen);
  }
}
