import { WinnowError } from "@winnow/core-tensor";

import { quote } from "../files/quote";
import { ChatTemplate, Tokenizer } from "../tokenizer";
import type { GgufMetadata } from "./gguf-metadata";
import { mergesByScore } from "./merges-by-score";
import { BYTE_LEVEL, isPreTokenizer, PRE_TOKENIZERS, stepsOf } from "./pre-tokenizers";

/** llama.cpp's types of tokens (llama.h, `llama_token_type`) that count here. */
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

const ROLES = {
  bos_token: "tokenizer.ggml.bos_token_id",
  eos_token: "tokenizer.ggml.eos_token_id",
  unk_token: "tokenizer.ggml.unknown_token_id",
  pad_token: "tokenizer.ggml.padding_token_id",
} as const;

/**
 * The tokenizer that a GGUF file describes, of the kinds `gpt2` (byte-level pairs) and `llama` (SentencePiece's pairs).
 *
 * @throws WinnowError `file` when a key is missing or malformed, `tokenizer` for another kind or pre-tokenizer.
 */
export function ggufTokenizer(metadata: GgufMetadata): Tokenizer {
  const { json, roles } = ggufTokenizerFiles(metadata);
  return new Tokenizer(json, roles, `${metadata.path}: tokenizer`);
}

/** The tokenizer that a GGUF file describes, as `tokenizer.json` and the tokens with a role that go with it. */
export function ggufTokenizerFiles(metadata: GgufMetadata): { readonly json: object; readonly roles: Roles } {
  const all = metadata.texts("tokenizer.ggml.tokens");
  const types = metadata.has("tokenizer.ggml.token_type")
    ? metadata.numbers("tokenizer.ggml.token_type", all.length)
    : new Int32Array(all.length);
  // llama.cpp has a token for every row of the embedding; those behind the last one that is used are none.
  const tokens = all.slice(0, types.findLastIndex((type) => type !== UNUSED) + 1);
  const roles = rolesOf(metadata, tokens);
  const added_tokens = tokens.flatMap((content, id) => {
    const type = types[id];
    if (type !== CONTROL && type !== USER_DEFINED) return [];
    return [
      { id, content, special: type === CONTROL, normalized: false, single_word: false, lstrip: false, rstrip: false },
    ];
  });
  return { json: { added_tokens, ...algorithmOf(metadata, tokens, roles) }, roles };
}

/** @throws WinnowError `tokenizer` when the template does not parse. */
export function ggufTemplate(metadata: GgufMetadata): ChatTemplate | null {
  const key = "tokenizer.chat_template";
  if (!metadata.has(key)) return null;
  const roles = rolesOf(metadata, metadata.texts("tokenizer.ggml.tokens"));
  return new ChatTemplate(metadata.text(key), roles, `${metadata.path}: ${key}`);
}

/** Texts of the tokens with a role, by the names of `tokenizer_config.json`. */
export type Roles = Partial<Record<keyof typeof ROLES, string>>;

function rolesOf(metadata: GgufMetadata, tokens: readonly string[]): Roles {
  const roles: Roles = {};
  for (const role of ["bos_token", "eos_token", "unk_token", "pad_token"] as const) {
    const key = ROLES[role];
    if (!metadata.has(key)) continue;
    const token = tokens[metadata.whole(key, 0, tokens.length - 1)];
    if (token !== undefined) roles[role] = token;
  }
  return roles;
}

/** The parts of a `tokenizer.json` that say how a text becomes tokens. */
function algorithmOf(metadata: GgufMetadata, tokens: readonly string[], roles: Roles): object {
  const kind = metadata.text("tokenizer.ggml.model");
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  switch (kind) {
    case "gpt2": {
      const name = metadata.has("tokenizer.ggml.pre") ? metadata.text("tokenizer.ggml.pre") : "default";
      if (!isPreTokenizer(name)) {
        throw new WinnowError(
          "tokenizer",
          `${metadata.path}: the pre-tokenizer ${quote(name)} is not supported; supported: ${Object.keys(PRE_TOKENIZERS).join(", ")}`,
        );
      }
      const preTokenizer = PRE_TOKENIZERS[name];
      const { wholeWords, addsBos } = preTokenizer;
      const merges = metadata.texts("tokenizer.ggml.merges");
      return {
        normalizer: null,
        pre_tokenizer: { type: "Sequence", pretokenizers: stepsOf(preTokenizer) },
        post_processor: frame(metadata, tokens, roles, addsBos),
        decoder: BYTE_LEVEL,
        model: { type: "BPE", vocab, merges, ignore_merges: wholeWords, byte_fallback: false, fuse_unk: false },
      };
    }
    case "llama": {
      const scores = metadata.numbers("tokenizer.ggml.scores", metadata.texts("tokenizer.ggml.tokens").length);
      const key = "tokenizer.ggml.add_space_prefix";
      const spaced = !metadata.has(key) || metadata.flag(key);
      const space = { type: "Replace", pattern: { String: " " }, content: "▁" };
      return {
        normalizer: { type: "Sequence", normalizers: spaced ? [{ type: "Prepend", prepend: "▁" }, space] : [space] },
        pre_tokenizer: null,
        post_processor: frame(metadata, tokens, roles, true),
        decoder: {
          type: "Sequence",
          decoders: [
            { type: "Replace", pattern: { String: "▁" }, content: " " },
            { type: "ByteFallback" },
            { type: "Fuse" },
            ...(spaced ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
          ],
        },
        model: {
          type: "BPE",
          vocab,
          merges: mergesByScore(tokens, scores),
          unk_token: roles.unk_token ?? null,
          fuse_unk: true,
          byte_fallback: true,
          ignore_merges: false,
        },
      };
    }
    default:
      throw new WinnowError(
        "tokenizer",
        `${metadata.path}: a tokenizer of the kind ${quote(kind)} is not supported; supported: gpt2, llama`,
      );
  }
}

/** What is put around a text. */
function frame(metadata: GgufMetadata, tokens: readonly string[], roles: Roles, addsBos: boolean): object | null {
  const wants = (key: string, unless: boolean): boolean => (metadata.has(key) ? metadata.flag(key) : unless);
  const before = wants("tokenizer.ggml.add_bos_token", addsBos) ? roles.bos_token : undefined;
  const after = wants("tokenizer.ggml.add_eos_token", false) ? roles.eos_token : undefined;
  if (before === undefined && after === undefined) return null;
  const special = (token: string | undefined): object[] =>
    token === undefined ? [] : [{ SpecialToken: { id: token, type_id: 0 } }];
  const used = [before, after].filter((token) => token !== undefined);
  return {
    type: "TemplateProcessing",
    single: [...special(before), { Sequence: { id: "A", type_id: 0 } }, ...special(after)],
    pair: [],
    special_tokens: Object.fromEntries(
      used.map((token) => [token, { id: token, ids: [tokens.indexOf(token)], tokens: [token] }]),
    ),
  };
}
