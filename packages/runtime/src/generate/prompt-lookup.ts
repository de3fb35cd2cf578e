import type { DraftFinder, Drafting } from "./draft-finder";

/** How many tokens have to agree, the longest first. One alone is followed by too much. */
const LENGTHS = [4, 3, 2] as const;

/**
 * Prompt lookup decoding (Saxena 2023, https://github.com/apoorvumang/prompt-lookup-decoding): where the newest tokens have
 * stood before, what followed them then is the guess. The longest run of tokens that agree is taken, and of several places
 * the newest. A guess that reaches the end of the tokens goes on with itself, so that what repeats itself is guessed as far as
 * asked for.
 *
 * A token costs the same however many there were before: for each length of a run a table says where it was last followed.
 *
 * @example
 * ```ts
 * const lookup = new PromptLookup();
 * for (const token of [7, 8, 9, 4, 7, 8]) lookup.push(token);
 * lookup.propose(2); // [9, 4]
 * ```
 */
export class PromptLookup implements DraftFinder {
  readonly #tokens: number[] = [];
  /** By a run's hash, the place behind the run's newest occurrence that something follows; one table a length. */
  readonly #followed = LENGTHS.map((length) => ({ length, places: new Map<number, number>() }));

  push(token: number): void {
    const place = this.#tokens.length;
    for (const { length, places } of this.#followed) {
      if (place >= length) places.set(this.#hash(length), place);
    }
    this.#tokens.push(token);
  }

  propose(most: number): readonly number[] {
    const place = this.#place();
    if (place === null) return [];
    const period = this.#tokens.length - place;
    return Array.from({ length: most }, (_, i) => this.#at(place + (i % period)));
  }

  /** What followed the longest run of newest tokens that has stood before begins here; null where none has. */
  #place(): number | null {
    for (const { length, places } of this.#followed) {
      const place = this.#tokens.length < length ? undefined : places.get(this.#hash(length));
      if (place !== undefined && this.#agrees(place, length)) return place;
    }
    return null;
  }

  /** Whether the run that ends before a place is really the newest one: hashes may agree by chance. */
  #agrees(place: number, length: number): boolean {
    for (let back = 1; back <= length; back++) {
      if (this.#at(place - back) !== this.#at(this.#tokens.length - back)) return false;
    }
    return true;
  }

  /** Of the newest tokens (FNV-1a, word by word). */
  #hash(length: number): number {
    let hash = 0x811c9dc5;
    for (let back = length; back > 0; back--) {
      hash = Math.imul(hash ^ this.#at(this.#tokens.length - back), 0x01000193);
    }
    return hash;
  }

  #at(place: number): number {
    return this.#tokens[place] ?? -1;
  }
}

/** Guess an answer's tokens by prompt lookup, `most` of them at a time. */
export function promptLookup(most: number): Drafting {
  return { most, finder: () => new PromptLookup() };
}
