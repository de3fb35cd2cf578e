import type { VocabularyEntry } from "../index";

const encoder = new TextEncoder();

/** A token that stands for a text. */
export const token = (text: string, special = false): VocabularyEntry => ({ bytes: encoder.encode(text), special });

/** A token that stands for bytes, which may be part of a character. */
export const rawToken = (...bytes: readonly number[]): VocabularyEntry => ({
  bytes: Uint8Array.from(bytes),
  special: false,
});

/** A vocabulary with every class in it, small enough that generated prompts repeat its tokens. */
export const VOCABULARY: readonly VocabularyEntry[] = [
  token("<|end|>", true),
  token("<|user|>", true),
  token(","),
  token(" -"),
  token("the"),
  token(" cat"),
  token("7"),
  token(" 42"),
  token("é"),
  rawToken(0xc3),
];
