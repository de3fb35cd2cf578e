/** Guesses what comes next from the tokens so far. What it guesses costs time where it is wrong, and never changes an answer. */
export interface DraftFinder {
  /** Take note of the next token. */
  push(token: number): void;
  /** The tokens that may follow the newest one, in their order: at most `most`, and none where there is no guess. */
  propose(most: number): readonly number[];
}

/**
 * How an answer's tokens are guessed.
 *
 * @example
 * ```ts
 * // Each token again, which costs nothing where it is wrong but time.
 * const again = (last = 0): DraftFinder => ({
 *   push: (token) => void (last = token),
 *   propose: (most) => new Array<number>(most).fill(last),
 * });
 * const drafting: Drafting = { most: 2, finder: again };
 * ```
 */
export interface Drafting {
  /** Tokens that are read behind the one that was drawn, at most: 1 to 7. */
  readonly most: number;
  /** A finder for one answer, which has seen nothing yet. */
  readonly finder: () => DraftFinder;
}
