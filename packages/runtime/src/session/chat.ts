import { WinnowError } from "@winnow/core-tensor";

import type { GenerationEvent } from "../generate/decode";
import type { GenerationReport } from "../generate/report";
import type { Model } from "../model";
import { Conversation } from "../prompt/conversation";
import { turnParts, withProbe } from "../prompt/parts";
import type { ChatMessage } from "../tokenizer";
import { shieldedMessages, type ChatTemplate } from "../tokenizer/chat-template";
import { unshielded } from "../tokenizer/shield";
import { generationOf, type Generation } from "./generation";
import type { PromptPart } from "../prompt/prompt-part";
import type { GenerateOptions, Session } from "./session";

/** What a chat has to remember beside its session's cache; plain JSON. */
export interface ChatState {
  readonly messages: readonly ChatMessage[];
  /** The end of the last answer's turn as the template writes it. */
  readonly closing: string;
}

export interface AskOptions extends GenerateOptions {
  /** Asked after the message has been read and cut. */
  readonly then?: string | undefined;
  /** Ids that are read as the probe, in one chunk; by default a replay of what is read. */
  readonly probe?: readonly number[] | undefined;
}

/**
 * A conversation over a session's cache: each turn extends what the session holds.
 *
 * @example
 * ```ts
 * const chat = new Chat(model, session, "Answer in one word.");
 * for await (const event of chat.ask("Where is the key?")) process.stdout.write(event.text);
 * ```
 */
export class Chat {
  readonly #conversation: Conversation;
  readonly #template: ChatTemplate;
  #closing: string;

  /**
   * @param system a system message at the head; only for a chat that begins.
   * @param state of a chat that goes on over a restored session.
   * @throws WinnowError `tokenizer` when the model has no chat template.
   */
  constructor(
    private readonly model: Model,
    private readonly session: Session,
    system?: string,
    state?: ChatState,
  ) {
    if (model.template === null) {
      throw new WinnowError("tokenizer", `${model.dir} has no chat template; use raw prompts (--raw)`);
    }
    const { tokenizer, template } = model;
    this.#template = template;
    this.#conversation = new Conversation(template, shieldedMessages(tokenizer, template, state?.messages ?? []));
    this.#closing = state?.closing ?? "";
    if (system !== undefined) this.#conversation.system(template.shield(system, tokenizer));
  }

  /** What to save with the session, so that the chat can go on. */
  get state(): ChatState {
    const messages = this.#conversation.messages.map(({ role, content }) => ({ role, content: unshielded(content) }));
    return { messages, closing: this.#closing };
  }

  /**
   * Ask, and stream the answer. A question that could not be read is taken back; of an answer that is left or aborted
   * the chat remembers what there was of it.
   */
  ask(content: string, options: AskOptions = {}): Generation {
    return generationOf(this.#events(content, options));
  }

  /** What a question adds to the session, for a caller that reads it itself. */
  parts(content: string, then?: string, probe?: readonly number[]): PromptPart[] {
    const { tokenizer } = this.model;
    const shield = (text: string): string => this.#template.shield(text, tokenizer);
    const after = then === undefined ? undefined : shield(then);
    const [first, ...others] = turnParts(tokenizer, this.#conversation.ask(shield(content), after));
    if (first === undefined) return [];
    const parts = [{ ...first, ids: [...this.#closingIds(), ...first.ids] }, ...others];
    return probe === undefined ? parts : withProbe(parts, probe);
  }

  /** The end of the last answer's turn, as far as the model has not said it itself. */
  #closingIds(): number[] {
    const ids = this.model.tokenizer.encode(this.#closing, { addSpecial: false, shielded: true });
    return ids[0] !== undefined && ids[0] === this.session.tokens.at(-1) ? ids.slice(1) : ids;
  }

  async *#events(content: string, options: AskOptions): AsyncGenerator<GenerationEvent, GenerationReport, undefined> {
    const parts = this.parts(content, options.then, options.probe);
    const before = this.session.tokens.length;
    let answer = "";
    try {
      const generation = this.session.generate(parts, options);
      for await (const event of generation) {
        answer += event.text;
        yield event;
      }
      return await generation.report();
    } finally {
      if (this.session.tokens.length === before) this.#conversation.retract();
      else this.#closing = this.#conversation.answered(this.model.tokenizer.shield(answer));
    }
  }
}
