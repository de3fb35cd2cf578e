import { WinnowError } from "@winnow/core-tensor";

/** What a tokenizer says of one token. */
export interface VocabularyEntry {
  /** The bytes the token stands for; a token may be part of a character. */
  readonly bytes: Uint8Array;
  /** Whether it is one of the tokenizer's added special tokens. */
  readonly special: boolean;
}

/** A set of tokens that a policy names: by id, or by a pattern over their text. */
export type TokenSet =
  | { readonly kind: "ids"; readonly ids: readonly number[] }
  | { readonly kind: "pattern"; readonly source: string; readonly flags: string };

/** Class bits every vocabulary has; sets named by policies take the bits above. */
export const TokenClass = { special: 1, punctuation: 2 } as const;

const FIRST_SET_BIT = 2;
const MAX_BITS = 24;

const PUNCTUATION = /^[\p{P}\p{S}]+$/u;

/**
 * The classes of a vocabulary's tokens as bits. Special: the tokenizer's added special tokens. Punctuation: the bytes
 * are valid UTF-8, and the text without white space at its ends is not empty and has only characters of the Unicode
 * categories P* and S*.
 *
 * @example
 * ```ts
 * const classes = new TokenClasses(tokenizer.vocabulary());
 * classes.flagsOf([0, 52]); // Uint32Array [1, 2]: a special token and a hyphen, say
 * ```
 */
export class TokenClasses {
  readonly #flags: Uint32Array;
  readonly #texts: (string | null)[];
  readonly #setBits = new Map<string, number>();

  constructor(vocabulary: readonly VocabularyEntry[]) {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    this.#texts = vocabulary.map(({ bytes }) => {
      try {
        return decoder.decode(bytes);
      } catch {
        // Part of a character: it has no text, and no class that needs one.
        return null;
      }
    });
    this.#flags = Uint32Array.from(vocabulary, ({ special }, id) => {
      if (special) return TokenClass.special;
      return PUNCTUATION.test(this.#texts[id]?.trim() ?? "") ? TokenClass.punctuation : 0;
    });
  }

  /** Class bits of tokens; ids outside the vocabulary have none. */
  flagsOf(ids: ArrayLike<number>): Uint32Array {
    return Uint32Array.from(ids, (id) => this.#flags[id] ?? 0);
  }

  /**
   * The class bit of a set, which is given one when it is first asked for.
   *
   * @throws WinnowError `policy` when all 24 bits are taken.
   */
  bitOf(set: TokenSet): number {
    const key = formatTokenSet(set);
    const known = this.#setBits.get(key);
    if (known !== undefined) return known;
    const place = FIRST_SET_BIT + this.#setBits.size;
    if (place >= MAX_BITS) {
      throw new WinnowError("policy", `tokens(${key}) is one set too many; a vocabulary has room for ${MAX_BITS - FIRST_SET_BIT}`);
    }
    const bit = 1 << place;
    this.#setBits.set(key, bit);
    for (const id of this.#members(set)) {
      const flags = this.#flags[id];
      if (flags === undefined) {
        throw new WinnowError("policy", `tokens(${key}) names the token ${id}; the vocabulary has ids from 0 to ${this.#flags.length - 1}`);
      }
      this.#flags[id] = flags | bit;
    }
    return bit;
  }

  #members(set: TokenSet): number[] {
    if (set.kind === "ids") return [...set.ids];
    const pattern = new RegExp(set.source, set.flags);
    return this.#texts.flatMap((text, id) => (text !== null && pattern.test(text) ? [id] : []));
  }
}

/** `4, 17` or `/^\d/u`: what stands between the parentheses of `tokens(…)`. */
export function formatTokenSet(set: TokenSet): string {
  return set.kind === "ids" ? set.ids.join(", ") : `/${set.source}/${set.flags}`;
}
