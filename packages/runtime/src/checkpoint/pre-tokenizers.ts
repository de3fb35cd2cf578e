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

/** Cuts a text by expressions, one after the other; what they match, and what lies between, are words. */
function split(...expressions: readonly string[]): readonly object[] {
  const steps = expressions.map((expression) => ({
    type: "Split",
    // JavaScript's \s has U+FEFF, which is no white space, and lacks U+0085, which is.
    pattern: {
      Regex: expression
        .replaceAll(String.raw`\s`, String.raw`\p{White_Space}`)
        .replaceAll(String.raw`\S`, String.raw`\P{White_Space}`),
    },
    behavior: "Isolated",
    invert: false,
  }));
  return [...steps, BYTE_LEVEL];
}

const GPT2_WORDS = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

const GPT2: PreTokenizer = { steps: split(GPT2_WORDS), wholeWords: false, addsBos: false };

const SMOLLM: PreTokenizer = { ...GPT2, steps: split(String.raw`\p{N}`, GPT2_WORDS) };

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
