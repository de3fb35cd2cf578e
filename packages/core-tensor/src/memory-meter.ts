import { WinnowError } from "./errors";

/** What an allocation is for. Everything that is neither a weight nor part of a KV cache is an activation. */
export type MemoryCategory = "weights" | "kv" | "activations";

export interface MemorySnapshot {
  readonly weights: number;
  readonly kv: number;
  readonly activations: number;
  /** Bytes allocated now. */
  readonly total: number;
  /** The greatest `total` since the meter was made or `resetPeak` was called. */
  readonly peak: number;
}

/**
 * Counts the bytes behind every allocation of a backend, by category and by label. It only ever hears of
 * real allocations and releases: nothing is estimated.
 *
 * @example
 * ```ts
 * const meter = new MemoryMeter();
 * const release = meter.allocated("kv", "slab", 1024);
 * meter.snapshot().kv; // 1024
 * release();
 * ```
 */
export class MemoryMeter {
  readonly #categories: Record<MemoryCategory, number> = { weights: 0, kv: 0, activations: 0 };
  readonly #labels = new Map<string, number>();
  #total = 0;
  #peak = 0;

  /** Record an allocation; the returned function records its release and may be called once. */
  allocated(category: MemoryCategory, label: string, bytes: number): () => void {
    this.#add(category, label, bytes);
    let released = false;
    return () => {
      if (released) throw new WinnowError("disposed", `the allocation "${label}" was released twice`);
      released = true;
      this.#add(category, label, -bytes);
    };
  }

  snapshot(): MemorySnapshot {
    return { ...this.#categories, total: this.#total, peak: this.#peak };
  }

  /** Bytes by label, for reports; labels with nothing left are absent. */
  byLabel(): ReadonlyMap<string, number> {
    return new Map(this.#labels);
  }

  /** Let `peak` start again from what is allocated now. */
  resetPeak(): void {
    this.#peak = this.#total;
  }

  #add(category: MemoryCategory, label: string, bytes: number): void {
    this.#categories[category] += bytes;
    this.#total += bytes;
    this.#peak = Math.max(this.#peak, this.#total);
    const left = (this.#labels.get(label) ?? 0) + bytes;
    if (left === 0) this.#labels.delete(label);
    else this.#labels.set(label, left);
  }
}
