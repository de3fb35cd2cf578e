import { WinnowError } from "@winnow/core-tensor";

import type { ChatMessage, ChatTemplate } from "../tokenizer/chat-template";

/** What a probe replays. */
interface Replayed {
  /** What a probe's answer repeats. */
  readonly subject: string;
  /** A user turn that asks to repeat the text, up to where the answer begins. */
  readonly request: string;
}

/**
 * The texts of a turn, each read and cut by itself, and what a probe replays: every message that they read. One that it left
 * out would be looked up by nobody, and lose its slots to the others.
 */
export interface TurnTexts extends Replayed {
  /** The conversation's head, up to where the template ends the system message; null where there is none. */
  readonly system: ({ readonly text: string } & Replayed) | null;
  /** What follows it. */
  readonly segments: readonly string[];
}

const REPEAT = "Repeat the text.";

/**
 * A conversation behind a chat template: turns messages into the text that has still to be read, so that a
 * later turn extends what the cache already holds.
 */
export class Conversation {
  readonly #messages: ChatMessage[];

  /**
   * @param messages of a conversation that goes on.
   * @param request what a probe asks.
   */
  constructor(
    private readonly template: ChatTemplate,
    messages: readonly ChatMessage[] = [],
    private readonly request = REPEAT,
  ) {
    this.#messages = [...messages];
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /**
   * Texts for a new user message.
   *
   * @param then asked after the message has been read and cut; it becomes the end of the same message.
   * @throws WinnowError `prompt` when the message is empty; `tokenizer` when the template rewrites earlier turns.
   */
  ask(content: string, then?: string): TurnTexts {
    if (content.trim() === "") throw new WinnowError("prompt", "the prompt is empty; give at least one character");
    const begun = this.#messages.some(({ role }) => role !== "system");
    const before = begun ? this.template.render(this.#messages, { addGenerationPrompt: false }) : "";
    const message = { role: "user", content: then === undefined ? content : `${content}\n\n${then}` } as const;
    const messages = [...this.#messages, message];
    const asked = this.template.render(messages, { addGenerationPrompt: true });
    const system = begun ? null : systemOf(this.template, messages, asked, this.request);
    const text = suffix(asked, before, "an earlier turn").slice(system?.text.length ?? 0);
    const segments = then === undefined ? [text] : inTwo(text, content, then);
    const earlier = begun ? [] : this.#messages.slice(system === null ? 0 : 1);
    const turn = {
      system,
      segments,
      subject: replayed(segments[0] ?? "", [...earlier, { role: "user", content }]),
      request: requestAfter(this.template, [...messages, { role: "assistant", content: "" }], this.request),
    };
    this.#messages.push(message);
    return turn;
  }

  /**
   * Put a system message at the head.
   *
   * @throws WinnowError `usage` when the conversation has begun: what was read cannot be unread.
   */
  system(content: string): void {
    if (this.#messages.length > 0) {
      throw new WinnowError(
        "usage",
        "a system message is given to a conversation that has begun; give it at the start",
      );
    }
    this.#messages.unshift({ role: "system", content });
  }

  /**
   * Take note of the answer.
   *
   * @returns the text that closes the assistant's turn, which the model may have generated already.
   */
  answered(content: string): string {
    const asked = this.template.render(this.#messages, { addGenerationPrompt: true });
    this.#messages.push({ role: "assistant", content });
    const whole = this.template.render(this.#messages, { addGenerationPrompt: false });
    const turn = whole.startsWith(asked) ? whole.slice(asked.length) : "";
    // Templates may trim what they write.
    const written = [content, content.trimEnd(), content.trimStart(), content.trim()].find((text) =>
      turn.startsWith(text),
    );
    return written === undefined ? "" : turn.slice(written.length);
  }

  /** Take the last question back, when it could not be read. */
  retract(): void {
    if (this.#messages.at(-1)?.role === "user") this.#messages.pop();
  }
}

/**
 * Texts of a conversation that nothing has been read of yet, up to where its next answer begins.
 *
 * @param request what a probe asks.
 * @throws WinnowError `prompt` when no user message asks anything, `tokenizer` when the template refuses the messages.
 */
export function conversationTexts(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  request = REPEAT,
): TurnTexts {
  const asked = messages.findLast(({ role }) => role === "user")?.content ?? "";
  if (asked.trim() === "") {
    throw new WinnowError("prompt", "the conversation has no user message; give one of at least one character");
  }
  const whole = template.render(messages, { addGenerationPrompt: true });
  const system = systemOf(template, messages, whole, request);
  const text = whole.slice(system?.text.length ?? 0);
  return {
    system,
    segments: [text],
    subject: replayed(text, system === null ? messages : messages.slice(1)),
    request: requestAfter(template, [...messages, { role: "assistant", content: "" }], request),
  };
}

/** What the messages of a text say, or all of it where the template has changed what they say: nothing else is replayed. */
function replayed(text: string, messages: readonly ChatMessage[]): string {
  const said = messages.map(({ content }) => (text.includes(content) ? content : content.trim()));
  return said.every((content) => text.includes(content)) ? joinSubjects(said) : text;
}

/** Texts that a probe replays one behind the other. */
export function joinSubjects(texts: readonly string[]): string {
  return texts.filter((text) => text !== "").join("\n\n");
}

function systemOf(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  whole: string,
  request: string,
): TurnTexts["system"] {
  const [head] = messages;
  if (head?.role !== "system") return null;
  const text = rendered(template, [head], false);
  // A template may want a user's message, or write the system message into it.
  if (text === null || text === "" || text.length >= whole.length || !whole.startsWith(text)) return null;
  return { text, subject: head.content, request: requestAfter(template, [head], request) };
}

/** A turn that asks for the text again, as it would follow the messages. */
function requestAfter(template: ChatTemplate, messages: readonly ChatMessage[], request: string): string {
  const before = rendered(template, messages, false);
  const after = rendered(template, [...messages, { role: "user", content: request }], true);
  return before !== null && after?.startsWith(before) === true ? after.slice(before.length) : `\n\n${request}\n\n`;
}

/** Null where the template refuses such messages. */
function rendered(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
): string | null {
  try {
    return template.render(messages, { addGenerationPrompt });
  } catch {
    return null;
  }
}

/** A turn's text, cut behind the first part of its message. */
function inTwo(text: string, content: string, then: string): readonly string[] {
  // Templates may trim what they write.
  for (const start of [content, content.trimStart()]) {
    for (const end of [then, then.trimEnd()]) {
      const at = text.lastIndexOf(`${start}\n\n${end}`);
      if (at >= 0) return [text.slice(0, at + start.length), text.slice(at + start.length)];
    }
  }
  throw new WinnowError("tokenizer", "the chat template changes the message's text, so it cannot be read in two parts");
}

function suffix(whole: string, head: string, what: string): string {
  if (!whole.startsWith(head)) {
    throw new WinnowError(
      "tokenizer",
      `the chat template rewrites ${what}, so the conversation cannot go on over its cache; start it anew`,
    );
  }
  return whole.slice(head.length);
}
