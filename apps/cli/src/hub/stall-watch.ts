import { TransientError } from "./patience";

/** Ends an exchange with a server that has been silent for too long; and, when disposed of, one that is still going on. */
export class StallWatch implements Disposable {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(stallMs: number, outer: AbortSignal) {
    this.signal = AbortSignal.any([outer, this.#controller.signal]);
    this.#timer = setTimeout(() => {
      this.#controller.abort(new TransientError(`nothing came for ${stallMs / 1000} s`));
    }, stallMs);
  }

  /** Something came. */
  heard(): void {
    this.#timer.refresh();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#controller.abort(new TransientError("the exchange has ended"));
  }
}
