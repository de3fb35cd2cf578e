import { randomUnit } from "@winnow/core-tensor";

/** Random numbers that are the same each time for the same seed and stream. */
export class Random {
  #drawn = 0;

  constructor(
    private readonly seed: number,
    private readonly stream: number,
  ) {}

  /** In [0, 1). */
  unit(): number {
    return randomUnit(this.seed, this.stream, this.#drawn++);
  }

  /** A whole number from `least` to `most`. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.unit() * (most - least + 1));
  }

  /** @throws RangeError for nothing to choose from. */
  choose<T>(of: readonly T[]): T {
    const chosen = of[this.whole(0, of.length - 1)];
    if (chosen === undefined) throw new RangeError("there is nothing to choose from");
    return chosen;
  }
}
