import { WARM_STEPS } from "./job";

const LEAST_STEPS = 5;
/** Behind so much, the least steps are enough. */
const BUDGET_MS = 3000;

/** Times steps of several answers that are written at once: one is over when each of them has another token. */
export class StepClock {
  readonly times: number[] = [];
  #tokens = 0;
  #warm = 0;
  #last: number;
  #total = 0;

  constructor(
    private readonly batch: number,
    private readonly steps: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#last = this.now();
  }

  /** Whether no more tokens are needed. */
  get done(): boolean {
    const { length } = this.times;
    return length >= this.steps || (length >= LEAST_STEPS && this.#total > BUDGET_MS);
  }

  /** A token has been written. */
  note(): void {
    this.#tokens++;
    if (this.#tokens % this.batch !== 0) return;
    const now = this.now();
    if (this.#warm++ >= WARM_STEPS && !this.done) {
      this.times.push(now - this.#last);
      this.#total += now - this.#last;
    }
    this.#last = now;
  }
}
