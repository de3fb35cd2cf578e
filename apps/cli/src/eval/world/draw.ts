import { WinnowError, randomWord } from "@winnow/core-tensor";

/** Numbers that a seed fixes: a counter-based generator, so that nothing drawn elsewhere changes them. */
export class Draw {
  #count = 0;

  /**
   * @param seed a whole number.
   */
  constructor(private readonly seed: number) {}

  /** Uniform in [0, 1). */
  unit(): number {
    return randomWord(this.seed % 2 ** 32, Math.floor(this.seed / 2 ** 32), this.#count++) / 2 ** 32;
  }

  /** A whole number from `from` up to, and not including, `to`. */
  whole(from: number, to: number): number {
    return from + Math.floor(this.unit() * (to - from));
  }

  one<T>(of: readonly T[]): T {
    const found = of[this.whole(0, of.length)];
    if (found === undefined) throw new WinnowError("range", "one is drawn of nothing");
    return found;
  }

  /** Two that differ. */
  two<T>(of: readonly T[]): [T, T] {
    const first = this.one(of);
    return [first, this.one(of.filter((other) => other !== first))];
  }

  /** In another order. */
  shuffled<T>(of: readonly T[]): T[] {
    const rest = [...of];
    const drawn: T[] = [];
    while (rest.length > 0) drawn.push(...rest.splice(this.whole(0, rest.length), 1));
    return drawn;
  }
}
