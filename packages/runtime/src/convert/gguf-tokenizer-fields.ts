import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import type { TokenizerFiles } from "../checkpoint/checkpoint";
import { preTokenizerName, PRE_TOKENIZERS } from "../checkpoint/pre-tokenizers";
import type { ModelConfig } from "../files/config";
import { checkJson } from "../files/json-file";
import type { GgufFieldValue } from "./gguf-header-writer";

/** llama.cpp's types of tokens (llama.h, `llama_token_type`). */
const TOKEN_TYPES = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

const schema = z.looseObject({
  model: z.looseObject({
    type: z.literal(
      "BPE",
      "expected BPE: GGUF files have pairs that are merged, and no other tokenizers are converted",
    ),
    vocab: z.record(z.string(), z.int().nonnegative()),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
    byte_fallback: z.boolean().nullish(),
  }),
  added_tokens: z
    .array(z.looseObject({ id: z.int().nonnegative(), content: z.string(), special: z.boolean().nullish() }))
    .nullish(),
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  post_processor: z.unknown().optional(),
});
type TokenizerJson = z.output<typeof schema>;

/**
 * What a GGUF file says of a tokenizer and of the chat template, by key.
 *
 * @throws WinnowError `tokenizer` for one that GGUF files have no name for, `file` for a malformed one.
 */
export function ggufTokenizerFields(
  { json, roles }: TokenizerFiles,
  template: string | null,
  { vocabulary, eosIds }: Pick<ModelConfig, "vocabulary" | "eosIds">,
  what: string,
): Map<string, GgufFieldValue> {
  const tokenizer = checkJson(json, schema, what);
  const tokens = tokensOf(tokenizer, vocabulary);
  const ids = new Map(tokens.map(({ text }, id) => [text, id]));
  const fields = new Map<string, GgufFieldValue>();
  const set = (key: string, value: GgufFieldValue): void => {
    fields.set(`tokenizer.ggml.${key}`, value);
  };
  const merges = tokenizer.model.merges.map((pair) => (typeof pair === "string" ? pair : pair.join(" ")));
  const addsBos = framesWith(tokenizer, roles.bos_token);
  if (tokenizer.model.byte_fallback === true) {
    set("model", { type: "string", value: "llama" });
    set("scores", { type: "float32s", value: scoresOf(tokens, merges) });
    set("add_space_prefix", {
      type: "bool",
      value: JSON.stringify(tokenizer.normalizer ?? null).includes('"Prepend"'),
    });
    set("add_bos_token", { type: "bool", value: addsBos });
  } else {
    const name = preTokenizerName(tokenizer.pre_tokenizer);
    if (name === null) {
      throw new WinnowError(
        "tokenizer",
        `${what}: GGUF files have no name for its pre_tokenizer; those that can be converted: ${Object.keys(PRE_TOKENIZERS).join(", ")}`,
      );
    }
    set("model", { type: "string", value: "gpt2" });
    set("pre", { type: "string", value: name });
    set("merges", { type: "strings", value: merges });
    set("add_bos_token", { type: "bool", value: addsBos });
  }
  set("tokens", { type: "strings", value: tokens.map(({ text }) => text) });
  set("token_type", { type: "int32s", value: tokens.map(({ type }) => type) });
  for (const [role, key] of ROLES) {
    const text = roles[role];
    const id = text === undefined ? undefined : ids.get(text);
    if (id !== undefined) set(key, { type: "uint32", value: id });
  }
  const eos = roles.eos_token === undefined ? undefined : ids.get(roles.eos_token);
  // A model may end its turns by another token than its texts.
  const turn = eosIds.find((id) => id !== eos);
  if (turn !== undefined) set(eos === undefined ? "eos_token_id" : "eot_token_id", { type: "uint32", value: turn });
  if (template !== null) fields.set("tokenizer.chat_template", { type: "string", value: template });
  return fields;
}

const ROLES = [
  ["bos_token", "bos_token_id"],
  ["eos_token", "eos_token_id"],
  ["unk_token", "unknown_token_id"],
  ["pad_token", "padding_token_id"],
] as const;

interface Token {
  readonly text: string;
  readonly type: number;
}

/** One for each row of the embedding. */
function tokensOf({ model, added_tokens }: TokenizerJson, vocabulary: number): Token[] {
  const tokens: Token[] = Array.from({ length: vocabulary }, (_, id) => ({
    text: `[PAD${id}]`,
    type: TOKEN_TYPES.unused,
  }));
  for (const [text, id] of Object.entries(model.vocab)) {
    const isByte = model.byte_fallback === true && /^<0x[0-9A-F]{2}>$/.test(text);
    tokens[id] = { text, type: isByte ? TOKEN_TYPES.byte : TOKEN_TYPES.normal };
  }
  for (const { id, content, special } of added_tokens ?? []) {
    const isUnknown = model.unk_token === content && model.byte_fallback === true;
    const type = isUnknown ? TOKEN_TYPES.unknown : special === true ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined;
    tokens[id] = { text: content, type };
  }
  return tokens;
}

/** SentencePiece's scores, by which the pair whose join scores best is merged first: the merges' order. */
function scoresOf(tokens: readonly Token[], merges: readonly string[]): number[] {
  const ranks = new Map<string, number>();
  merges.forEach((pair, rank) => {
    const joined = pair.replace(" ", "");
    if (!ranks.has(joined)) ranks.set(joined, rank);
  });
  return tokens.map(({ text, type }) => (type === TOKEN_TYPES.normal ? -(ranks.get(text) ?? merges.length) : 0));
}

/** Whether a text begins with a token. */
function framesWith({ post_processor }: TokenizerJson, token: string | undefined): boolean {
  const template = z.looseObject({
    single: z.array(z.looseObject({ SpecialToken: z.looseObject({ id: z.string() }).optional() })),
  });
  const sequence = z.looseObject({ processors: z.array(z.unknown()) }).safeParse(post_processor);
  const candidates = sequence.success ? sequence.data.processors : [post_processor];
  return candidates.some((candidate) => {
    const found = template.safeParse(candidate);
    return token !== undefined && found.success && found.data.single[0]?.SpecialToken?.id === token;
  });
}
