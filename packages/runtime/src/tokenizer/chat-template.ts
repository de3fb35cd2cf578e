import { Template } from "@huggingface/jinja";
import { WinnowError } from "@winnow/core-tensor";

import type { Tokenizer } from "./tokenizer";
import type { NamedTokens } from "./tokenizer-config";

/** A message of a conversation. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface ChatTemplateOptions {
  /** Whether the text ends where the assistant's answer begins; so by default. */
  readonly addGenerationPrompt?: boolean;
}

/** A model's Jinja template, which turns a conversation into the text that the model was trained on. */
export class ChatTemplate {
  readonly #template: Template;

  /**
   * @param namedTokens texts of tokens that the template may use, such as `bos_token`.
   * @param what names the template in messages.
   * @throws WinnowError `tokenizer` when the template does not parse.
   */
  constructor(
    source: string,
    private readonly namedTokens: NamedTokens = {},
    private readonly what = "chat template",
  ) {
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw templateError(`${what} does not parse`, cause);
    }
  }

  /** @throws WinnowError `tokenizer` when the template refuses the messages or fails. */
  render(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): string {
    try {
      return this.#template.render({
        ...this.namedTokens,
        messages: messages.map(({ role, content }) => ({ role, content })),
        add_generation_prompt: options.addGenerationPrompt ?? true,
        tools: null,
        documents: null,
      });
    } catch (cause) {
      throw templateError(`${this.what} cannot render these ${messages.length} messages`, cause);
    }
  }
}

/** The messages with their texts shielded: special tokens are the template's to write. */
export function shieldedMessages(tokenizer: Tokenizer, messages: readonly ChatMessage[]): readonly ChatMessage[] {
  return messages.map(({ role, content }) => ({ role, content: tokenizer.shield(content) }));
}

/**
 * Token ids of a conversation. The template's text names its special tokens itself, so none are added; those that a message
 * spells out are text.
 *
 * @throws WinnowError `tokenizer` when the template refuses the messages.
 */
export function encodeChat(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  options: ChatTemplateOptions = {},
): number[] {
  const text = template.render(shieldedMessages(tokenizer, messages), options);
  return tokenizer.encode(text, { addSpecial: false, shielded: true });
}

function templateError(what: string, cause: unknown): WinnowError {
  const reason = (cause instanceof Error ? cause.message : String(cause)).replaceAll(/\s+/g, " ");
  return new WinnowError("tokenizer", `${what}: ${reason}`, { cause });
}
