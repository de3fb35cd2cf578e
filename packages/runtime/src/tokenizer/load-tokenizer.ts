import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import type { ModelConfig } from "../files/config";
import { filesAt } from "../files/files-at";
import { readJsonFile, readOptionalJsonFile } from "../files/json-file";
import type { ModelFiles } from "../files/model-files";
import { quote } from "../files/quote";
import { ChatTemplate } from "./chat-template";
import { Tokenizer } from "./tokenizer";
import { namedTokens, tokenizerConfigSchema, type NamedTokens, type TokenizerConfig } from "./tokenizer-config";

const CONFIG = "tokenizer_config.json";
const TEMPLATE = "chat_template.jinja";

/**
 * Load the tokenizer among a model's files: `tokenizer.json`, and `tokenizer_config.json` where it is there.
 *
 * @throws WinnowError `file` or `tokenizer` when a file is missing, malformed, or of a kind that is not supported.
 */
export async function loadTokenizer(place: string | ModelFiles): Promise<Tokenizer> {
  const files = filesAt(place);
  await files.expectPlace();
  const json = await readJsonFile(files, "tokenizer.json", z.unknown());
  return new Tokenizer(json, await readConfig(files), files.pathOf("tokenizer.json"));
}

/** What a model's files say of its tokenizer, unchecked but for the tokens with a role. @throws WinnowError `file` */
export async function readTokenizerFiles(
  files: ModelFiles,
): Promise<{ readonly json: unknown; readonly roles: NamedTokens }> {
  const json = await readJsonFile(files, "tokenizer.json", z.unknown());
  const config = await readConfig(files);
  return { json, roles: config === null ? {} : namedTokens(config) };
}

/**
 * Load the chat template among a model's files: `chat_template.jinja`, else that of `tokenizer_config.json`
 * (the one named `default` where there are several).
 *
 * @returns null where the model has none: it continues texts and knows no turns.
 * @throws WinnowError `file` or `tokenizer` when it cannot be read or does not parse.
 */
export async function loadChatTemplate(place: string | ModelFiles): Promise<ChatTemplate | null> {
  const files = filesAt(place);
  const config = await readConfig(files);
  const named = config === null ? {} : namedTokens(config);
  const text = await files.readText(TEMPLATE);
  if (text !== null) return new ChatTemplate(text, named, files.pathOf(TEMPLATE));
  const what = `${files.pathOf(CONFIG)}: chat_template`;
  const inline = config === null ? null : templateOf(config, what);
  return inline === null ? null : new ChatTemplate(inline, named, what);
}

/** @throws WinnowError `tokenizer` when the tokenizer can give ids that the model has no embedding for. */
export function checkTokenizerFits(tokenizer: Tokenizer, config: Pick<ModelConfig, "vocabulary">): void {
  if (tokenizer.size > config.vocabulary) {
    throw new WinnowError(
      "tokenizer",
      `the tokenizer has ids up to ${tokenizer.size - 1} and the model embeds ${config.vocabulary} (vocab_size in config.json); use the model's own tokenizer.json`,
    );
  }
}

function readConfig(files: ModelFiles): Promise<TokenizerConfig | null> {
  return readOptionalJsonFile(files, CONFIG, tokenizerConfigSchema);
}

function templateOf(config: TokenizerConfig, what: string): string | null {
  const template = config.chat_template;
  if (template == null || typeof template === "string") return template ?? null;
  const [only] = template;
  const chosen = template.find(({ name }) => name === "default") ?? (template.length === 1 ? only : undefined);
  if (chosen === undefined) {
    throw new WinnowError(
      "tokenizer",
      `${what} has ${template.map(({ name }) => quote(name)).join(", ") || "no templates"}; expected one named "default"`,
    );
  }
  return chosen.template;
}
