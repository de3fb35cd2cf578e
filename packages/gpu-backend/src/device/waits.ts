import type { WinnowError } from "@winnow/core-tensor";

/**
 * Promises that somebody waits for, which can all be broken at once. A lost device settles some of its promises, leaves
 * others pending and rejects the rest with errors that name nothing.
 */
export class Waits {
  readonly #breakers = new Set<(error: WinnowError) => void>();

  /** The promise, or the error that `breakAll` is called with in the meantime. */
  until<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#breakers.add(reject);
      work.then(
        (value) => {
          this.#breakers.delete(reject);
          resolve(value);
        },
        (error: unknown) => {
          this.#breakers.delete(reject);
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }

  breakAll(error: WinnowError): void {
    for (const reject of this.#breakers) reject(error);
    this.#breakers.clear();
  }
}
