import { WinnowError } from "@winnow/core-tensor";

import { formatTokenSet, type TokenSet } from "./token-set";

/** What a tokenizer says of one token. */
export interface VocabularyEntry {
  /** The bytes the token stands for; a token may be part of a character. None: the id stands for nothing. */
  readonly bytes: Uint8Array;
  /** Whether it is one of the tokenizer's added special tokens. */
  readonly special: boolean;
}

/** Class bits every vocabulary has; sets named by policies take the bits above. */
export const TokenClass = { special: 1, punctuation: 2 } as const;

const FIRST_SET_BIT = 2;
const MAX_BITS = 24;

// Unicode's white space is not that of JavaScript's trim, which takes U+FEFF and leaves U+0085.
const PUNCTUATION = /^\p{White_Space}*[\p{P}\p{S}]+\p{White_Space}*$/u;

/**
 * The classes of a vocabulary's tokens as bits. Special: the tokenizer's added special tokens. Punctuation: the bytes
 * are valid UTF-8, and the text without white space at its ends is not empty and has only characters of the Unicode
 * categories P* and S*.
 *
 * A set of tokens that a policy names gets a bit by {@link reserve}, which has to come before the flags are made that
 * the policy will see.
 *
 * @example
 * ```ts
 * const classes = new TokenClasses(tokenizer.vocabulary());
 * classes.reserve(tokenSetsOf(policy));
 * classes.flagsOf([0, 52]); // Uint32Array [1, 2]: a special token and a hyphen, say
 * ```
 */
export class TokenClasses {
  readonly #vocabulary: DecodedVocabulary;
  readonly #sets = new Map<string, { readonly bit: number; readonly members: ReadonlySet<number> }>();

  constructor(vocabulary: readonly VocabularyEntry[] | DecodedVocabulary) {
    this.#vocabulary = vocabulary instanceof DecodedVocabulary ? vocabulary : new DecodedVocabulary(vocabulary);
  }

  /** The same vocabulary without the sets, for a sequence whose policy names others: a vocabulary has room for 22. */
  fork(): TokenClasses {
    return new TokenClasses(this.#vocabulary);
  }

  /** Class bits of tokens; ids outside the vocabulary have none. */
  flagsOf(ids: ArrayLike<number>): Uint32Array {
    const flags = Uint32Array.from(ids, (id) => this.#vocabulary.flags[id] ?? 0);
    for (const { bit, members } of this.#sets.values()) {
      for (let i = 0; i < flags.length; i++) if (members.has(ids[i] ?? -1)) flags[i] = (flags[i] ?? 0) | bit;
    }
    return flags;
  }

  /**
   * Give class bits to sets of tokens.
   *
   * @returns whether any of them is new: flags that were made before do not know it, and have to be made again.
   * @throws WinnowError `policy` when a set names an id outside the vocabulary, or all 24 bits are taken.
   */
  reserve(sets: Iterable<TokenSet>): boolean {
    const before = this.#sets.size;
    for (const set of sets) {
      const key = formatTokenSet(set);
      if (this.#sets.has(key)) continue;
      const members = this.#vocabulary.members(set);
      const place = FIRST_SET_BIT + this.#sets.size;
      if (place >= MAX_BITS) {
        throw new WinnowError(
          "policy",
          `tokens(${key}) is one set too many; a vocabulary has room for ${MAX_BITS - FIRST_SET_BIT}`,
        );
      }
      this.#sets.set(key, { bit: 1 << place, members });
    }
    return this.#sets.size > before;
  }

  /**
   * The class bit of a set.
   *
   * @throws WinnowError `policy` when it has none: flags made so far say nothing of the set.
   */
  bitOf(set: TokenSet): number {
    const key = formatTokenSet(set);
    const known = this.#sets.get(key);
    if (known === undefined) {
      throw new WinnowError(
        "policy",
        `tokens(${key}) has no class bit, so that no slot's flags can tell; call classes.reserve(tokenSetsOf(policy)) before flagsOf`,
      );
    }
    return known.bit;
  }
}

/** A vocabulary's texts and the class bits that every policy knows: made once, and shared. */
class DecodedVocabulary {
  readonly flags: Uint32Array;
  readonly #texts: readonly (string | null)[];

  constructor(entries: readonly VocabularyEntry[]) {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    this.#texts = entries.map(({ bytes }) => {
      if (bytes.length === 0) return null;
      try {
        return decoder.decode(bytes);
      } catch {
        // Part of a character: it has no text, and no class that needs one.
        return null;
      }
    });
    this.flags = Uint32Array.from(entries, ({ special }, id) => {
      if (special) return TokenClass.special;
      return PUNCTUATION.test(this.#texts[id] ?? "") ? TokenClass.punctuation : 0;
    });
  }

  members(set: TokenSet): ReadonlySet<number> {
    if (set.kind === "pattern") {
      const pattern = new RegExp(set.source, set.flags);
      return new Set(this.#texts.flatMap((text, id) => (text !== null && pattern.test(text) ? [id] : [])));
    }
    const unknown = set.ids.find((id) => id >= this.flags.length);
    if (unknown !== undefined) {
      throw new WinnowError(
        "policy",
        `tokens(${formatTokenSet(set)}) names the token ${unknown}; the vocabulary has ids from 0 to ${this.flags.length - 1}`,
      );
    }
    return new Set(set.ids);
  }
}
