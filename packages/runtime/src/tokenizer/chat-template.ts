import { Template } from "@huggingface/jinja";
import { WinnowError } from "@winnow/core-tensor";

import type { Shield } from "./shield";
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
  readonly #shields = new WeakMap<Tokenizer, Shield>();

  /**
   * @param namedTokens texts of tokens that the template may use, such as `bos_token`.
   * @param what names the template in messages.
   * @throws WinnowError `tokenizer` when the template does not parse.
   */
  constructor(
    readonly source: string,
    private readonly namedTokens: NamedTokens = {},
    private readonly what = "chat template",
  ) {
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw templateError(`${what} does not parse`, cause);
    }
  }

  /**
   * A message's text such that it is not taken for what the template writes, as `Tokenizer.shield` does it. Files do not mark
   * every token as special that begins or ends a turn; what the template writes by itself is one.
   */
  shield(text: string, tokenizer: Tokenizer): string {
    let shield = this.#shields.get(tokenizer);
    if (shield === undefined) {
      const written = this.#samples();
      // Indentation is written as well, and tokens of white space stay what they are.
      shield = tokenizer.shieldWith((spelling) => spelling.trim() !== "" && written.includes(spelling));
      this.#shields.set(tokenizer, shield);
    }
    return shield.over(text);
  }

  /** What the template spells out, and what it puts together around messages of each role. */
  #samples(): string {
    const turns: readonly ChatMessage[] = [
      { role: "system", content: "-" },
      { role: "user", content: "-" },
      { role: "assistant", content: "-" },
      { role: "user", content: "-" },
    ];
    const texts = [turns, turns.slice(1)].map((messages) => {
      try {
        return this.render(messages);
      } catch {
        return "";
      }
    });
    return [this.source, ...texts].join("\n");
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

/** The messages with their texts shielded: what structures a conversation is the template's to write. */
export function shieldedMessages(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  messages: readonly ChatMessage[],
): readonly ChatMessage[] {
  return messages.map(({ role, content }) => {
    // Templates look into answers, such as for the end of what was thought.
    const shielded = role === "assistant" ? tokenizer.shield(content) : template.shield(content, tokenizer);
    return { role, content: shielded };
  });
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
  const text = template.render(shieldedMessages(tokenizer, template, messages), options);
  return tokenizer.encode(text, { addSpecial: false, shielded: true });
}

function templateError(what: string, cause: unknown): WinnowError {
  const reason = (cause instanceof Error ? cause.message : String(cause)).replaceAll(/\s+/g, " ");
  return new WinnowError("tokenizer", `${what}: ${reason}`, { cause });
}
