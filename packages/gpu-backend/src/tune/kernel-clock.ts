import type { Plan } from "../dispatch/dispatch";
import type { GpuTrace } from "../trace/gpu-trace";

/** What {@link KernelClock} needs of a backend. */
export interface PlanRunner {
  /** Whether the device takes the time of a dispatch. */
  readonly timestamps: boolean;
  run(plan: Plan): void;
  /** @throws WinnowError what a plan before it failed with. */
  flush(): Promise<void>;
  startTrace(): () => Promise<GpuTrace>;
  /** Whether the device can no longer be used. */
  ended(): boolean;
}

type PlanOf = (repetition: number) => Plan;

/** Repetitions of a candidate in one round are as many as fit into this, between these bounds. */
const BUDGET_MS = 20;
const LEAST = 3;
const MOST = 20;

/** Times plans by the device's timestamps, where it has some; else by the host's clock over repeated submissions. */
export class KernelClock {
  readonly #runner: PlanRunner;

  constructor(runner: PlanRunner) {
    this.#runner = runner;
  }

  get kind(): "gpu" | "wall" {
    return this.#runner.timestamps ? "gpu" : "wall";
  }

  /**
   * Run a plan once; false where the device refuses it, such as for want of registers.
   *
   * @throws WinnowError when the device is gone.
   */
  async runs(planOf: PlanOf): Promise<boolean> {
    try {
      this.#runner.run(planOf(0));
      await this.#runner.flush();
      return true;
    } catch (error) {
      if (this.#runner.ended()) throw error;
      return false;
    }
  }

  /** Times of some repetitions. */
  async microseconds(planOf: PlanOf): Promise<number[]> {
    const started = performance.now();
    this.#runner.run(planOf(0));
    await this.#runner.flush();
    const pilotMs = performance.now() - started;
    const count = Math.min(MOST, Math.max(LEAST, Math.floor(BUDGET_MS / pilotMs)));
    const plans = Array.from({ length: count }, (_, i) => planOf(i));
    return this.#runner.timestamps ? await this.#byDevice(plans) : [await this.#byHost(plans)];
  }

  /** From the beginning of a plan's first dispatch to the end of its last, so that what lies between them counts. */
  async #byDevice(plans: readonly Plan[]): Promise<number[]> {
    const stop = this.#runner.startTrace();
    for (const plan of plans) this.#runner.run(plan);
    const { spans } = await stop();
    await this.#runner.flush();
    let next = 0;
    return plans.map((plan) => {
      const own = spans.slice(next, (next += plan.length));
      const first = own[0]?.start ?? NaN;
      return own.reduce((end, { start, duration }) => Math.max(end, start + duration), first) / 1e3 - first / 1e3;
    });
  }

  async #byHost(plans: readonly Plan[]): Promise<number> {
    const started = performance.now();
    for (const plan of plans) this.#runner.run(plan);
    await this.#runner.flush();
    return (1e3 * (performance.now() - started)) / plans.length;
  }
}
