import { WinnowError } from "@winnow/core-tensor";

import type { ChatMessage, ChatTemplate, Tokenizer } from "../tokenizer";
import { shieldedMessages } from "../tokenizer/chat-template";
import type { PromptPart } from "./prompt-part";
import { conversationTexts, joinSubjects, type TurnTexts } from "./conversation";

/** What a probe asks where there is no chat template to ask it with. */
const RAW_REQUEST = "\n\nRepeat the text.\n\n";

/**
 * Raw text as a part of a prompt; a probe over it replays it.
 *
 * @param first whether the sequence begins with it, and so with what the tokenizer puts before a text.
 */
export function textPart(tokenizer: Tokenizer, text: string, first: boolean): PromptPart {
  return {
    ids: tokenizer.encode(text, { addSpecial: first }),
    probe: replay(tokenizer, RAW_REQUEST, tokenizer.encode(text, { addSpecial: false })),
  };
}

/** Ids as a part of a prompt, as they are; a probe over it replays them. */
export function idsPart(tokenizer: Tokenizer, ids: readonly number[]): PromptPart {
  return { ids, probe: replay(tokenizer, RAW_REQUEST, ids) };
}

/** A system message of fewer tokens is read with what follows it. */
const LEAST_SHARED_TOKENS = 256;

/**
 * The parts of a conversation's turn, whose messages are shielded; a probe replays every message of a part. A long system message
 * is a part of its own, which other conversations may begin with too.
 */
export function turnParts(tokenizer: Tokenizer, turn: TurnTexts): PromptPart[] {
  const { system, segments, subject, request } = turn;
  const plain = { addSpecial: false, shielded: true } as const;
  const part = (text: string, subject: string, request: string): PromptPart => ({
    ids: tokenizer.encode(text, plain),
    // Tokens that structure a conversation would end the answer that a probe is.
    probe: replay(
      tokenizer,
      request,
      tokenizer.encode(subject, plain).filter((id) => !tokenizer.specialIds.has(id)),
    ),
  });
  const head = system === null ? null : part(system.text, system.subject, system.request);
  const isLong = head !== null && head.ids.length >= LEAST_SHARED_TOKENS;
  const rest = segments.map((text, i) => {
    if (i > 0) return part(text, text, request);
    return system === null || isLong
      ? part(text, subject, request)
      : part(`${system.text}${text}`, joinSubjects([system.subject, subject]), request);
  });
  return isLong ? [{ ...head, shared: true }, ...rest] : rest;
}

/**
 * The parts of a conversation that nothing has been read of yet, up to where its next answer begins.
 *
 * @param request what a probe asks; by default to repeat the text.
 * @throws WinnowError `tokenizer` when the model has no chat template, or it refuses the messages; `prompt` without a user's message.
 * @example
 * ```ts
 * const parts = chatParts(model, [{ role: "user", content: "Where is the key?" }]);
 * const { text } = await session.generate(parts, { maxTokens: 32 }).report();
 * ```
 */
export function chatParts(model: ChatModel, messages: readonly ChatMessage[], request?: string): PromptPart[] {
  if (model.template === null) {
    throw new WinnowError("tokenizer", `${model.dir} has no chat template; use raw prompts`);
  }
  const { tokenizer, template } = model;
  return turnParts(tokenizer, conversationTexts(template, shieldedMessages(tokenizer, template, messages), request));
}

interface ChatModel {
  readonly dir: string;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate | null;
}

/** The same parts with ids that are read as the first part's probe, in one chunk. */
export function withProbe(parts: readonly PromptPart[], probe: readonly number[]): PromptPart[] {
  return parts.map((part, i) => (i === 0 ? { ...part, probe: { kind: "ids", ids: probe } } : part));
}

function replay(tokenizer: Tokenizer, request: string, subject: readonly number[]): PromptPart["probe"] {
  return { kind: "replay", request: tokenizer.encode(request, { addSpecial: false, shielded: true }), subject };
}
