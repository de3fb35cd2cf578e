import { z } from "zod";

import { GPT2_WORDS } from "../tokenizer/unicode-patterns";

/** Bytes as letters, as GPT-2 writes them, with no cut of its own. */
export const BYTE_LEVEL = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false } as const;

/** How a text is cut into the words within which pairs are merged. */
interface PreTokenizer {
  /** One after the other; what they match, and what lies between, are words. */
  readonly expressions: readonly string[];
  /** A word that is a token as a whole is one, whatever pairs would make of it. */
  readonly wholeWords: boolean;
  /** Whether a text begins with the first token of a sequence, where the file does not say. */
  readonly addsBos: boolean;
}

/** As `pre_tokenizer` of a `tokenizer.json` has them. */
export function stepsOf({ expressions }: PreTokenizer): readonly object[] {
  const steps = expressions.map((expression) => ({
    type: "Split",
    pattern: { Regex: expression },
    behavior: "Isolated",
    invert: false,
  }));
  return [...steps, BYTE_LEVEL];
}

/** Digits are words of their own. */
const DIGIT = String.raw`\p{N}`;

const GPT2: PreTokenizer = { expressions: [GPT2_WORDS], wholeWords: false, addsBos: false };

const SMOLLM: PreTokenizer = { ...GPT2, expressions: [DIGIT, GPT2_WORDS] };

const LLAMA3: PreTokenizer = {
  expressions: [
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ],
  wholeWords: true,
  addsBos: true,
};

const QWEN2: PreTokenizer = {
  expressions: [
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ],
  wholeWords: false,
  addsBos: false,
};

/** Mistral's from NeMo on: words begin with capitals or have none. */
const TEKKEN: PreTokenizer = {
  expressions: [
    String.raw`[^\r\n\p{L}\p{N}]?(?:(?=\p{L})[^a-z])*(?:(?=\p{L})[^A-Z])+|[^\r\n\p{L}\p{N}]?(?:(?=\p{L})[^a-z])+(?:(?=\p{L})[^A-Z])*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ],
  wholeWords: true,
  addsBos: true,
};

/** By the names of `tokenizer.ggml.pre` (llama.cpp, src/llama-vocab.cpp). */
export const PRE_TOKENIZERS = {
  "gpt-2": GPT2,
  smollm: SMOLLM,
  "llama-bpe": LLAMA3,
  llama3: LLAMA3,
  "llama-v3": LLAMA3,
  falcon3: LLAMA3,
  pixtral: LLAMA3,
  qwen2: QWEN2,
  "deepseek-r1-qwen": QWEN2,
  tekken: TEKKEN,
} as const satisfies Record<string, PreTokenizer>;

export function isPreTokenizer(name: string): name is keyof typeof PRE_TOKENIZERS {
  return Object.hasOwn(PRE_TOKENIZERS, name);
}

const step = z.union([
  z.looseObject({ type: z.literal("ByteLevel"), add_prefix_space: z.literal(false), use_regex: z.boolean() }),
  z.looseObject({ type: z.literal("Digits"), individual_digits: z.literal(true) }),
  z.looseObject({
    type: z.literal("Split"),
    pattern: z.object({ Regex: z.string() }),
    behavior: z.literal("Isolated"),
    invert: z.literal(false),
  }),
]);
const steps = z.union([
  z.looseObject({ type: z.literal("Sequence"), pretokenizers: z.array(step) }).transform((of) => of.pretokenizers),
  step.transform((only) => [only]),
]);

/**
 * What GGUF files call the pre-tokenizer of a `tokenizer.json`; null for one that they have no name for.
 *
 * @param preTokenizer its `pre_tokenizer`.
 */
export function preTokenizerName(preTokenizer: unknown): keyof typeof PRE_TOKENIZERS | null {
  const found = steps.safeParse(preTokenizer);
  if (!found.success) return null;
  const expressions = found.data.flatMap((of) => {
    if (of.type === "Digits") return [DIGIT];
    if (of.type === "Split") return [of.pattern.Regex];
    return of.use_regex ? [GPT2_WORDS] : [];
  });
  const text = JSON.stringify(expressions);
  const names = Object.keys(PRE_TOKENIZERS).filter(isPreTokenizer);
  return names.find((name) => JSON.stringify(PRE_TOKENIZERS[name].expressions) === text) ?? null;
}
