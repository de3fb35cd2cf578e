import type { WebGpuBackend } from "@winnow/gpu-backend";

/** Where times come from: the device's timestamps around each dispatch, or the host's clock around a whole call. */
export type Clock = "gpu" | "wall";

export interface Timing {
  readonly clock: Clock;
  /** The median of the repetitions. On the device's clock, the sum over a repetition's dispatches. */
  readonly seconds: number;
  readonly repetitions: number;
  /** Of one repetition. */
  readonly dispatches: number;
}

const MIN_REPETITIONS = 5;
const MAX_REPETITIONS = 30;
/** Repetitions are as many as fit into this, between those bounds. */
const BUDGET_SECONDS = 0.3;

/** Times what is enqueued on a backend, after calls that compile pipelines and wake the device. */
export class Stopwatch {
  readonly clock: Clock;

  constructor(private readonly backend: WebGpuBackend) {
    this.clock = backend.gpu.capabilities.timestamps ? "gpu" : "wall";
  }

  /**
   * @param act enqueues operations; it is told which repetition it is, to take the next of several operands.
   * @throws WinnowError what the operations throw.
   */
  async time(act: (repetition: number) => void): Promise<Timing> {
    const { backend, clock } = this;
    await this.#wallSeconds(() => {
      act(0);
    });
    const pilot = await this.#wallSeconds(() => {
      act(1);
    });
    const wanted = Math.floor(BUDGET_SECONDS / pilot);
    const repetitions = Math.min(MAX_REPETITIONS, Math.max(MIN_REPETITIONS, wanted));
    const before = backend.counts.dispatches;
    const times = clock === "gpu" ? await this.#traced(act, repetitions) : await this.#walled(act, repetitions);
    return {
      clock,
      seconds: median(times),
      repetitions,
      dispatches: (backend.counts.dispatches - before) / repetitions,
    };
  }

  async #traced(act: (repetition: number) => void, repetitions: number): Promise<number[]> {
    const { backend } = this;
    const first = backend.counts.dispatches;
    const ends: number[] = [];
    const stop = backend.startTrace();
    for (let repetition = 0; repetition < repetitions; repetition++) {
      act(repetition);
      ends.push(backend.counts.dispatches - first);
    }
    const { spans } = await stop();
    await backend.flush();
    return ends.map((end, i) => {
      const nanoseconds = spans.slice(ends[i - 1] ?? 0, end).reduce((sum, { duration }) => sum + duration, 0);
      return nanoseconds / 1e9;
    });
  }

  async #walled(act: (repetition: number) => void, repetitions: number): Promise<number[]> {
    const times: number[] = [];
    for (let repetition = 0; repetition < repetitions; repetition++) {
      times.push(
        await this.#wallSeconds(() => {
          act(repetition);
        }),
      );
    }
    return times;
  }

  async #wallSeconds(act: () => void): Promise<number> {
    const started = performance.now();
    act();
    await this.backend.flush();
    return (performance.now() - started) / 1000;
  }
}

/** The middle of a list of numbers, or the mean of the two in the middle; NaN of none. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? NaN) + upper) / 2 : upper;
}
