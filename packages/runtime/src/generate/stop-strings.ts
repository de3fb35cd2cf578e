import { WinnowError } from "@winnow/core-tensor";

/**
 * Watches a stream of text for stop strings, which may fall across tokens. Text that could be the beginning
 * of one is held back until it is certain. The one that ends first stops the text, and of several that end there the
 * longest: so it does not matter how the text is cut into tokens.
 *
 * @example
 * ```ts
 * const stop = new StopStrings(["\n\n"]);
 * stop.push("a\n"); // { text: "a", stopped: false }
 * stop.push("\nb"); // { text: "", stopped: true }
 * ```
 */
export class StopStrings {
  #held = "";

  /** @throws WinnowError `usage` when a stop string is empty, which would stop everything. */
  constructor(private readonly stops: readonly string[]) {
    if (stops.includes("")) throw new WinnowError("usage", "a stop string is empty; give at least one character");
  }

  /** What is certain to be part of the answer now, and whether a stop string has ended it. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    const all = this.#held + text;
    const found = this.stops
      .map((stop) => ({ start: all.indexOf(stop), length: stop.length }))
      .filter(({ start }) => start >= 0)
      .sort((a, b) => a.start + a.length - (b.start + b.length) || a.start - b.start);
    if (found[0] !== undefined) {
      this.#held = "";
      return { text: all.slice(0, found[0].start), stopped: true };
    }
    const held = Math.max(0, ...this.stops.map((stop) => overlap(all, stop)));
    this.#held = all.slice(all.length - held);
    return { text: all.slice(0, all.length - held), stopped: false };
  }

  /** The text still held back, at the end of the stream. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }
}

/** The longest end of `text` that is a beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
