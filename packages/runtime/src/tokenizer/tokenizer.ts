import { Tokenizer as TokenizerLibrary } from "@huggingface/tokenizers";
import { WinnowError } from "@winnow/core-tensor";
import type { VocabularyEntry } from "@winnow/kv-policies";

import { checkJson } from "../files/json-file";
import { quote } from "../files/quote";
import { Fingerprint } from "./fingerprint";
import { Shield, shieldedPieces } from "./shield";
import { spellingOf, type Spelling } from "./spelling";
import { StreamDecoder } from "./stream-decoder";
import { namedTokens, tokenizerConfigSchema, type NamedTokens } from "./tokenizer-config";
import { withUnicodePatterns } from "./unicode-patterns";
import { mergesOf, readVocabulary, tokenizerSchema, type TokenizerJson } from "./vocabulary";

export interface EncodeOptions {
  /** Add what the tokenizer puts around a text, such as `<s>`; so by default. */
  readonly addSpecial?: boolean;
  /** The text has parts that were given to `shield`. */
  readonly shielded?: boolean;
}

export interface DecodeOptions {
  /** Leave special tokens out; so by default. */
  readonly skipSpecial?: boolean;
}

/**
 * Text to token ids and back, as a model's `tokenizer.json` says.
 *
 * Encoding is `@huggingface/tokenizers`'; decoding joins the tokens' own bytes, so that a stream of tokens
 * and the whole of them give the same text. Unlike Transformers it never "cleans up" spaces before
 * punctuation, which changes what a model wrote.
 */
export class Tokenizer {
  /** Ids of the tokenizer's special tokens: those that stand for structure, not text. */
  readonly specialIds: ReadonlySet<number>;
  /** Tokens with a role, such as `bos_token`, by the names that chat templates use. */
  readonly namedTokens: NamedTokens;
  readonly #library: TokenizerLibrary;
  readonly #vocabulary: readonly VocabularyEntry[];
  readonly #spelling: Spelling;
  readonly #merges: readonly string[];
  readonly #added: NonNullable<TokenizerJson["added_tokens"]>;
  readonly #shield: Shield;
  readonly #what: string;
  #fingerprint: string | undefined;

  /**
   * @param tokenizerJson the content of `tokenizer.json`.
   * @param configJson the content of `tokenizer_config.json`, or null where there is none.
   * @param what names the tokenizer in messages.
   * @throws WinnowError `file` or `tokenizer` when they are malformed or of a kind that is not supported.
   */
  constructor(tokenizerJson: unknown, configJson: unknown = null, what = "tokenizer.json") {
    const json = checkJson(tokenizerJson, tokenizerSchema, what);
    const config = checkJson(configJson ?? {}, tokenizerConfigSchema, `the configuration of ${what}`);
    this.#what = what;
    this.#spelling = spellingOf(json.decoder, what);
    this.#vocabulary = readVocabulary(json, this.#spelling, what);
    this.#merges = mergesOf(json);
    this.#library = makeLibrary(json, config, what);
    this.#added = json.added_tokens ?? [];
    this.#shield = this.shieldWith(() => false);
    this.specialIds = new Set(this.#vocabulary.flatMap((entry, id) => (entry.special ? [id] : [])));
    this.namedTokens = namedTokens(config);
  }

  /** One more than the greatest id. */
  get size(): number {
    return this.#vocabulary.length;
  }

  /** Whether a space at the very start of a text is the tokenizer's own; decoding leaves it out. */
  get dropsLeadingSpace(): boolean {
    return this.#spelling.dropsLeadingSpace;
  }

  /** Distinguishes vocabularies: 16 hexadecimal digits over all tokens and merges. */
  get fingerprint(): string {
    return (this.#fingerprint ??= fingerprintOf(this.#vocabulary, this.#merges));
  }

  /** All tokens by id. */
  vocabulary(): readonly VocabularyEntry[] {
    return this.#vocabulary;
  }

  /** The id of a token by its text as in `tokenizer.json`, such as `</s>`. */
  idOf(token: string): number | undefined {
    return this.#library.token_to_id(token);
  }

  /**
   * Token ids of a text. Special tokens that the text spells out become their ids, but for those in shielded parts.
   *
   * @throws WinnowError `tokenizer` when a part of the text has no token.
   */
  encode(text: string, { addSpecial = true, shielded = false }: EncodeOptions = {}): number[] {
    if (!shielded) return this.#encode(text, addSpecial);
    return shieldedPieces(text).flatMap((piece, i) => this.#encode(piece, addSpecial && i === 0));
  }

  /**
   * The text such that `encode` with `shielded` takes it for text whatever special tokens it spells out, also as a part of
   * another. Tokenizers that put a space before a text then have one inside of such a spelling.
   *
   * @example
   * ```ts
   * const turn = `<|user|>${tokenizer.shield("<|end|>")}<|end|>`;
   * tokenizer.encode(turn, { shielded: true }); // one end, and not two
   * ```
   */
  shield(text: string): string {
    return this.#shield.over(text);
  }

  /**
   * What `shield` uses, against more tokens.
   *
   * @param isStructure which added tokens count as structure though they are not marked as special.
   */
  shieldWith(isStructure: (spelling: string) => boolean): Shield {
    const structure = this.#added.filter(({ content, special }) => special === true || isStructure(content));
    return new Shield(structure.map(({ content }) => content));
  }

  #encode(text: string, addSpecial: boolean): number[] {
    const { ids, tokens } = this.#run(text, addSpecial);
    for (let i = 0; i < ids.length; i++) {
      // The library's types promise numbers, and where there is no token for the unknown it gives none.
      const id: unknown = ids[i];
      if (typeof id !== "number") {
        throw new WinnowError(
          "tokenizer",
          `${this.#what}: no token for ${quote(tokens[i] ?? "")}, and none for the unknown`,
        );
      }
    }
    return ids;
  }

  /** The text of token ids; bytes that are not UTF-8 become U+FFFD. Ids beyond the vocabulary stand for no text. */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const stream = this.stream(options);
    let text = "";
    for (const id of ids) text += stream.push(id);
    return text + stream.flush();
  }

  /** A decoder for tokens that arrive one at a time. */
  stream(options: DecodeOptions = {}): StreamDecoder {
    return new StreamDecoder(this, options.skipSpecial ?? true);
  }

  #run(text: string, addSpecial: boolean): { readonly ids: number[]; readonly tokens: readonly string[] } {
    try {
      return this.#library.encode(text, { add_special_tokens: addSpecial });
    } catch (cause) {
      throw new WinnowError("tokenizer", `${this.#what}: the text cannot be encoded (${reasonOf(cause)})`, { cause });
    }
  }
}

function makeLibrary(json: TokenizerJson, config: object, what: string): TokenizerLibrary {
  try {
    const parts = {
      post_processor: null,
      ...json,
      normalizer: withUnicodePatterns(json.normalizer ?? null),
      pre_tokenizer: withUnicodePatterns(json.pre_tokenizer ?? null),
      added_tokens: json.added_tokens ?? [],
    };
    return new TokenizerLibrary(parts, config);
  } catch (cause) {
    throw new WinnowError(
      "tokenizer",
      `${what}: the tokenizer is malformed or of an unknown kind (${reasonOf(cause)})`,
      { cause },
    );
  }
}

function fingerprintOf(vocabulary: readonly VocabularyEntry[], merges: readonly string[]): string {
  const encoder = new TextEncoder();
  const hash = new Fingerprint();
  for (const { bytes, special } of vocabulary) hash.add(bytes).add(Uint8Array.of(special ? 1 : 0));
  for (const merge of merges) hash.add(encoder.encode(merge));
  return hash.toString();
}

function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).replaceAll(/\s+/g, " ");
}
