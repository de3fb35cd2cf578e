/** Names that are remembered at most; one that was left alone for a minute is as good as new. */
const MOST_NAMES = 10_000;

/** A token bucket for each name: so many requests at once, refilled over a minute. */
export class RateLimit {
  readonly #buckets = new Map<string, { left: number; atMs: number }>();

  /** @param perMinute requests a minute; Infinity for no limit. */
  constructor(
    readonly perMinute: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** @returns seconds to wait before the next try, or 0 when the request may go on. */
  take(name: string): number {
    if (this.perMinute === Infinity) return 0;
    const atMs = this.now();
    const before = this.#buckets.get(name) ?? { left: this.perMinute, atMs };
    const left = Math.min(this.perMinute, before.left + ((atMs - before.atMs) / 60_000) * this.perMinute);
    this.#buckets.delete(name);
    this.#buckets.set(name, { left: left >= 1 ? left - 1 : left, atMs });
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= MOST_NAMES) break;
      this.#buckets.delete(oldest);
    }
    return left >= 1 ? 0 : Math.ceil(((1 - left) / this.perMinute) * 60);
  }
}
