import type { Drafting } from "../generate/draft-finder";
import { promptLookup } from "../generate/prompt-lookup";
import { ROWS_WITH_GUESSES } from "../generate/step-rounds";
import { SessionOptionError } from "./session-option-error";
import type { SessionOptions } from "./session-options";

/** Tokens that may be guessed at a time: beside the token that was drawn, as many as a step with guesses has rows for. */
export const MOST_GUESSES = ROWS_WITH_GUESSES - 1;

/** @throws SessionOptionError for a number of tokens that no step has room for. */
export function resolveDrafting({ speculate = 0 }: SessionOptions): Drafting | null {
  if (!Number.isInteger(speculate) || speculate < 0 || speculate > MOST_GUESSES) {
    throw new SessionOptionError(
      "speculate",
      `speculate is ${speculate}; expected a whole number of tokens from 1 to ${MOST_GUESSES}, or 0 for none`,
    );
  }
  return speculate === 0 ? null : promptLookup(speculate);
}
