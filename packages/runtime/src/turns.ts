import { WinnowError } from "@winnow/core-tensor";

/**
 * Something that one has at a time, in the order in which it was asked for.
 *
 * @example
 * ```ts
 * using _ = await turns.take(signal, "reading the prompt");
 * ```
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #taken = false;

  /**
   * Wait for one's turn, which lasts until what is returned is disposed.
   *
   * @param doing what an abort stops.
   * @throws WinnowError `aborted` when the signal is, before it is one's turn.
   */
  take(signal: AbortSignal | undefined, doing: string): Promise<Disposable> {
    return new Promise((resolve, reject) => {
      const aborted = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(begin), 1);
        reject(new WinnowError("aborted", `${doing} was aborted`, { cause: signal?.reason }));
      };
      const begin = (): void => {
        signal?.removeEventListener("abort", aborted);
        resolve({
          [Symbol.dispose]: once(() => {
            this.#next();
          }),
        });
      };
      if (!this.#taken) {
        this.#taken = true;
        begin();
        return;
      }
      this.#waiting.push(begin);
      signal?.addEventListener("abort", aborted);
      if (signal?.aborted === true) aborted();
    });
  }

  #next(): void {
    const begin = this.#waiting.shift();
    if (begin === undefined) this.#taken = false;
    else begin();
  }
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}
