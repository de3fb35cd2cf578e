/** A noncharacter of Unicode, which no text for interchange has. */
const BREAK = "\uFDD0";
const REPLACEMENT = "\uFFFD";

/**
 * Keeps what people write apart from what a chat template writes. A template puts both into one text, in which a user who
 * spells out the token that ends a turn would end theirs and begin another in the system's name.
 */
export class Shield {
  readonly #starts: RegExp | null;

  /** @param spellings of the special tokens. One of a single character cannot be broken, and is left as it is. */
  constructor(spellings: readonly string[]) {
    const breakable = spellings.filter((spelling) => Array.from(spelling).length > 1);
    this.#starts = breakable.length === 0 ? null : new RegExp(`(?=${breakable.map(literally).join("|")}).`, "gsu");
  }

  /** The text with a break behind the first character of every special token that it spells. */
  over(text: string): string {
    const whole = text.replaceAll(BREAK, REPLACEMENT);
    return this.#starts === null ? whole : whole.replaceAll(this.#starts, `$&${BREAK}`);
  }
}

/** The text without its breaks. */
export function unshielded(text: string): string {
  return text.replaceAll(BREAK, "");
}

/** What lies between the breaks. */
export function shieldedPieces(text: string): readonly string[] {
  return text.split(BREAK);
}

function literally(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
}
