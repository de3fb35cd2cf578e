import type { Enqueued } from "./enqueued";
import type { Sweeper } from "./sweep";

/**
 * When a cache is swept while an answer is written: every `interval` tokens. A check comes a token before, where there is to
 * be one, so an interval of 1 is then one of 2.
 */
export class SweepCycle {
  #tokens = 0;

  /** @param interval tokens between two sweeps, at least 1. */
  constructor(
    private readonly sweeper: Sweeper,
    private readonly interval: number,
  ) {}

  /**
   * How many tokens may be read at a time: what is due after the last of them has to come before the next. Infinity where
   * nothing will ever be dropped.
   */
  get mostAtOnce(): number {
    if (!this.sweeper.drops) return Infinity;
    const left = this.#length - this.#tokens;
    return this.sweeper.checks && left > 1 ? left - 1 : left;
  }

  /** Enqueue what is due after a token was accepted; to be settled before the next one is. */
  async afterToken(): Promise<Enqueued | null> {
    const { checks } = this.sweeper;
    const length = this.#length;
    this.#tokens++;
    if (checks && this.#tokens === length - 1) return this.sweeper.check();
    if (this.#tokens < length) return null;
    this.#tokens = 0;
    return this.sweeper.sweep();
  }

  get #length(): number {
    return this.sweeper.checks ? Math.max(2, this.interval) : this.interval;
  }
}
