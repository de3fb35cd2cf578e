/** Bytes as letters, as GPT-2 writes them, with no cut of its own. */
export const BYTE_LEVEL = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false } as const;

/** How a text is cut into the words within which pairs are merged. */
interface PreTokenizer {
  /** As `pre_tokenizer` of a `tokenizer.json` has them. */
  readonly steps: readonly object[];
  /** A word that is a token as a whole is one, whatever pairs would make of it. */
  readonly wholeWords: boolean;
  /** Whether a text begins with the first token of a sequence, where the file does not say. */
  readonly addsBos: boolean;
}

const GPT2: PreTokenizer = { steps: [{ ...BYTE_LEVEL, use_regex: true }], wholeWords: false, addsBos: false };

const SMOLLM: PreTokenizer = {
  ...GPT2,
  steps: [{ type: "Digits", individual_digits: true }, ...GPT2.steps],
};

/** Cuts by an expression; what it matches are words. */
function split(expression: string): readonly object[] {
  return [{ type: "Split", pattern: { Regex: expression }, behavior: "Isolated", invert: false }, BYTE_LEVEL];
}

const LLAMA3: PreTokenizer = {
  steps: split(
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ),
  wholeWords: true,
  addsBos: true,
};

const QWEN2: PreTokenizer = {
  steps: split(
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ),
  wholeWords: false,
  addsBos: false,
};

/** By the names of `tokenizer.ggml.pre` (llama.cpp, src/llama-vocab.cpp). */
export const PRE_TOKENIZERS = {
  "gpt-2": GPT2,
  smollm: SMOLLM,
  "llama-bpe": LLAMA3,
  llama3: LLAMA3,
  "llama-v3": LLAMA3,
  qwen2: QWEN2,
} as const satisfies Record<string, PreTokenizer>;

export function isPreTokenizer(name: string): name is keyof typeof PRE_TOKENIZERS {
  return Object.hasOwn(PRE_TOKENIZERS, name);
}
