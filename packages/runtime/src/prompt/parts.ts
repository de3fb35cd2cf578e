import type { PromptPart } from "../session/session";
import type { Tokenizer } from "../tokenizer";
import type { TurnTexts } from "./conversation";

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

/** The parts of a conversation's turn; a probe replays the user's message. */
export function turnParts(tokenizer: Tokenizer, { segments, subject, request }: TurnTexts): PromptPart[] {
  return segments.map((text, i) => ({
    ids: tokenizer.encode(text, { addSpecial: false }),
    probe: replay(tokenizer, request, tokenizer.encode(i === 0 ? subject : text, { addSpecial: false })),
  }));
}

/** The same parts with ids that are read as the first part's probe, in one chunk. */
export function withProbe(parts: readonly PromptPart[], probe: readonly number[]): PromptPart[] {
  return parts.map((part, i) => (i === 0 ? { ...part, probe: { kind: "ids", ids: probe } } : part));
}

function replay(tokenizer: Tokenizer, request: string, subject: readonly number[]): PromptPart["probe"] {
  return { kind: "replay", request: tokenizer.encode(request, { addSpecial: false }), subject };
}
