/** How far back the charts reach, in milliseconds. */
export const HISTORY_MS = 120_000;

/** What was measured at one time; null draws a gap. */
export interface Sample {
  /** Of performance.now(). */
  readonly time: number;
  readonly values: readonly (number | null)[];
}

/** The last two minutes of some figures. */
export class History {
  #samples: Sample[] = [];

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  add(sample: Sample): void {
    // One older than the window stays, so that the line comes in from the edge.
    const first = this.#samples.findIndex(({ time }) => time > sample.time - HISTORY_MS);
    this.#samples = [...this.#samples.slice(Math.max(0, first - 1)), sample];
  }
}
