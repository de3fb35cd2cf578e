import { WinnowError } from "@winnow/core-tensor";
import type { VocabularyEntry } from "@winnow/kv-policies";

/** What decoding has to know of a tokenizer. */
export interface TokenBytes {
  vocabulary(): readonly VocabularyEntry[];
  readonly dropsLeadingSpace: boolean;
}

/**
 * Turns tokens into text as they come. A token may end within a character: its bytes wait for the rest, so
 * that what is handed out is always whole characters and adds up to the text of all tokens at once.
 *
 * @example
 * ```ts
 * const stream = tokenizer.stream();
 * for await (const id of ids) process.stdout.write(stream.push(id));
 * process.stdout.write(stream.flush());
 * ```
 */
export class StreamDecoder {
  readonly #vocabulary: readonly VocabularyEntry[];
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #dropSpace: boolean;

  constructor(
    private readonly tokenizer: TokenBytes,
    private readonly skipSpecial: boolean,
  ) {
    this.#vocabulary = tokenizer.vocabulary();
    this.#dropSpace = tokenizer.dropsLeadingSpace;
  }

  /**
   * The text that is certain with this token; empty while a character is incomplete.
   *
   * @throws WinnowError `tokenizer` when the id is not a whole number of at least 0.
   */
  push(id: number): string {
    const entry = this.#vocabulary[id];
    if (entry === undefined) {
      if (!Number.isInteger(id) || id < 0)
        throw new WinnowError("tokenizer", `token id ${id}; expected a whole number of at least 0`);
      // Embeddings are often padded beyond the tokenizer's ids, and a model may draw one of those.
      return "";
    }
    if (entry.special && this.skipSpecial) return "";
    return this.#clean(this.#decoder.decode(entry.bytes, { stream: true }));
  }

  /** What is left at the end: U+FFFD for a character that never became whole. The decoder then starts anew. */
  flush(): string {
    const rest = this.#clean(this.#decoder.decode());
    this.#dropSpace = this.tokenizer.dropsLeadingSpace;
    return rest;
  }

  #clean(text: string): string {
    if (!this.#dropSpace || text === "") return text;
    this.#dropSpace = false;
    return text.startsWith(" ") ? text.slice(1) : text;
  }
}
