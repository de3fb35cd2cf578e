import { randomWord } from "@winnow/core-tensor";

import type { DraftFinder, Drafting } from "../generate/draft-finder";
import { PromptLookup } from "../generate/prompt-lookup";

/** Guesses that are wrong but for the odd one, after every token. */
class Garbage implements DraftFinder {
  #count = 0;

  constructor(private readonly vocabulary: number) {}

  push(): void {
    this.#count++;
  }

  propose(most: number): readonly number[] {
    return Array.from({ length: most }, (_, i) => randomWord(3, this.#count, i) % this.vocabulary);
  }
}

/** Knows what is drawn. */
class Seer implements DraftFinder {
  #count = 0;

  constructor(private readonly tokens: readonly number[]) {}

  push(): void {
    this.#count++;
  }

  propose(most: number): readonly number[] {
    return Array.from({ length: most }, (_, i) => this.tokens[this.#count + i] ?? 0);
  }

  /** A place among so many guesses that depends on how far it is. */
  placeAmong(count: number): number {
    return randomWord(4, this.#count, 0) % count;
  }
}

/** Knows what is drawn, and after every token is wrong about one of the next, or about none. */
class Prophet extends Seer {
  override propose(most: number): readonly number[] {
    const wrong = this.placeAmong(most + 1);
    return super.propose(most).map((token, i) => (i === wrong ? token ^ 1 : token));
  }
}

/** Always wrong about the next token, and about none of those behind it. */
class LateSeer extends Seer {
  override propose(most: number): readonly number[] {
    return super.propose(most).map((token, i) => (i === 0 ? token ^ 1 : token));
  }
}

/** Ways to guess, for the tests: what there is, what is as wrong as can be, and what is right, always or mostly. */
export const GUESSES = ["lookup", "garbage", "prophet", "seer", "lateSeer"] as const;

/** @param tokens everything that is read and drawn, for who knows it. */
export function guessing(
  how: (typeof GUESSES)[number],
  most: number,
  tokens: readonly number[],
  vocabulary: number,
): Drafting {
  const finders = {
    lookup: () => new PromptLookup(),
    garbage: () => new Garbage(vocabulary),
    prophet: () => new Prophet(tokens),
    seer: () => new Seer(tokens),
    lateSeer: () => new LateSeer(tokens),
  };
  return { most, finder: finders[how] };
}
