import { WinnowError } from "@winnow/core-tensor";
import type { VocabularyEntry } from "@winnow/kv-policies";
import { z } from "zod";

import { quote } from "../files/quote";
import type { Spelling } from "./spelling";

/** The parts of a `tokenizer.json` that say which tokens there are; the rest is the tokenizer library's to check. */
export const tokenizerSchema = z.looseObject({
  model: z.looseObject({
    type: z.string("expected a string").nullish(),
    vocab: z.unknown().optional(),
    merges: z.unknown().optional(),
  }),
  added_tokens: z
    .array(
      z.looseObject({ id: z.int().nonnegative(), content: z.string(), special: z.boolean().nullish() }),
      "expected an array",
    )
    .nullish(),
  decoder: z.unknown().optional(),
});
export type TokenizerJson = z.output<typeof tokenizerSchema>;

/** No tokenizer in use has half as many; an id beyond is a mistake that would fill memory with gaps. */
const MAX_VOCABULARY = 2 ** 20;
const encoder = new TextEncoder();
const GAP: VocabularyEntry = { bytes: new Uint8Array(0), special: false };

/**
 * All tokens by id. An id that stands for nothing, in a gap, has no bytes.
 *
 * @throws WinnowError `tokenizer` for a malformed vocabulary or two tokens with one id.
 */
export function readVocabulary(json: TokenizerJson, spelling: Spelling, what: string): readonly VocabularyEntry[] {
  const entries: (VocabularyEntry | undefined)[] = [];
  for (const [token, id] of modelTokens(json, what)) {
    expectId(id, token, what);
    if (entries[id] !== undefined) {
      throw new WinnowError(
        "tokenizer",
        `${what}: token ${quote(token)} has id ${id}, which another token has already; expected ids of their own`,
      );
    }
    entries[id] = { bytes: spelling.bytesOf(token), special: false };
  }
  for (const added of json.added_tokens ?? []) {
    expectId(added.id, added.content, what);
    // An added token is text as it stands, whatever the spelling of the others.
    entries[added.id] = { bytes: encoder.encode(added.content), special: added.special ?? false };
  }
  if (entries.length === 0)
    throw new WinnowError("tokenizer", `${what}: the vocabulary is empty; expected at least one token`);
  return Array.from(entries, (entry) => entry ?? GAP);
}

function modelTokens(json: TokenizerJson, what: string): readonly (readonly [token: string, id: unknown])[] {
  const { type, vocab } = json.model;
  if (type === "Unigram" && Array.isArray(vocab)) {
    return vocab.map((pair: unknown, id) => {
      const token: unknown = Array.isArray(pair) ? pair[0] : undefined;
      if (typeof token !== "string")
        throw new WinnowError("tokenizer", `${what}: model.vocab[${id}] is not a pair of a token and its score`);
      return [token, id];
    });
  }
  if (type != null && type !== "BPE") {
    throw new WinnowError("tokenizer", `${what}: model type ${quote(type)} is not supported; supported: BPE, Unigram`);
  }
  if (typeof vocab !== "object" || vocab === null || Array.isArray(vocab)) {
    throw new WinnowError("tokenizer", `${what}: model.vocab is malformed; expected an object that maps tokens to ids`);
  }
  return Object.entries(vocab);
}

function expectId(id: unknown, token: string, what: string): asserts id is number {
  if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= MAX_VOCABULARY) {
    throw new WinnowError(
      "tokenizer",
      `${what}: token ${quote(token)} has id ${String(id)}; expected a whole number below ${MAX_VOCABULARY}`,
    );
  }
}

/** The merges of a byte-pair encoding, one string each, in either of the file format's two forms. */
export function mergesOf(json: TokenizerJson): readonly string[] {
  const { merges } = json.model;
  if (!Array.isArray(merges)) return [];
  return merges.map((merge: unknown) => (Array.isArray(merge) ? merge.join(" ") : String(merge)));
}
