import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import type { ModelConfig } from "../files/config";
import { expectDirectory } from "../files/directory";
import { readJsonFile, readOptionalJsonFile, readTextFile } from "../files/json-file";
import { quote } from "../files/quote";
import { ChatTemplate } from "./chat-template";
import { Tokenizer } from "./tokenizer";
import { namedTokens, tokenizerConfigSchema, type TokenizerConfig } from "./tokenizer-config";

/**
 * Load the tokenizer in a model's directory: `tokenizer.json`, and `tokenizer_config.json` where it is there.
 *
 * @throws WinnowError `file` or `tokenizer` when a file is missing, malformed, or of a kind that is not supported.
 */
export async function loadTokenizer(dir: string): Promise<Tokenizer> {
  await expectDirectory(dir);
  const path = join(dir, "tokenizer.json");
  return new Tokenizer(await readJsonFile(path, z.unknown()), await readConfig(dir), path);
}

/**
 * Load the chat template in a model's directory: `chat_template.jinja`, else that of `tokenizer_config.json`
 * (the one named `default` where there are several).
 *
 * @returns null where the model has none: it continues texts and knows no turns.
 * @throws WinnowError `file` or `tokenizer` when it cannot be read or does not parse.
 */
export async function loadChatTemplate(dir: string): Promise<ChatTemplate | null> {
  const config = await readConfig(dir);
  const named = config === null ? {} : namedTokens(config);
  const path = join(dir, "chat_template.jinja");
  const text = await readTextFile(path);
  if (text !== null) return new ChatTemplate(text, named, path);
  const what = `${configPath(dir)}: chat_template`;
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

function readConfig(dir: string): Promise<TokenizerConfig | null> {
  return readOptionalJsonFile(configPath(dir), tokenizerConfigSchema);
}

function configPath(dir: string): string {
  return join(dir, "tokenizer_config.json");
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
