/** Guesses what comes next from the tokens so far. What it guesses costs time where it is wrong, and never changes an answer. */
export interface DraftFinder {
  /** Take note of the next token. */
  push(token: number): void;
  /** The tokens that may follow the newest one, in their order: at most `most`, and none where there is no guess. */
  propose(most: number): readonly number[];
}

/** How an answer's tokens are guessed. */
export interface Drafting {
  /** Tokens that are read behind the one that was drawn, at most. */
  readonly most: number;
  /** A finder for one answer, which has seen nothing yet. */
  readonly finder: () => DraftFinder;
}
