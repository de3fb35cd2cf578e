import { WinnowError } from "@winnow/core-tensor";
import { chatParts, Conversation, turnParts, type ChatMessage, type Model, type PromptPart } from "@winnow/runtime";

import type { CutPoint } from "./cut-point";
import { thinProbe } from "./thin-probe";
import type { Example } from "./tasks/task";

/** An example as a model reads it. */
export interface ExampleTokens {
  /** What is read and cut. */
  readonly prompt: PromptPart;
  /** What is read behind the cut, up to where the answer begins. */
  readonly before: readonly number[];
  /** The answer, with the token that ends it. */
  readonly answer: readonly number[];
}

/** How examples are read. */
export interface ExampleReading {
  /** What of a conversation has been read when it is cut. */
  readonly question: CutPoint;
  /** Of a prompt, what its probe replays; all of it unless told otherwise. */
  readonly probeShare?: number | undefined;
  /** What a probe asks; by default to repeat the text. */
  readonly request?: string | undefined;
}

/**
 * @param reading where the conversation is cut, and what for.
 * @throws WinnowError `tokenizer` where the model has no chat template, or one that rewrites what was said; `context` where it
 * is too long for the model.
 */
export function exampleTokens(model: Model, example: Example, reading: ExampleReading): ExampleTokens {
  const { question: point, probeShare = 1, request } = reading;
  const { system, context, turns } = example;
  const { template, tokenizer } = model;
  if (template === null)
    throw new WinnowError("tokenizer", `${model.dir} has no chat template, and tasks are conversations`);
  const conversation = new Conversation(template, [], request);
  const shielded = (text: string): string => template.shield(text, tokenizer);
  const encode = (text: string): number[] => tokenizer.encode(text, { addSpecial: false, shielded: true });
  if (system !== null) conversation.system(shielded(system));
  const parts: PromptPart[] = [];
  let answer: number[] = [];
  for (const [i, turn] of turns.entries()) {
    const question = shielded(turn.question);
    const asked =
      i > 0 || context === ""
        ? conversation.ask(question)
        : point === "seen"
          ? conversation.ask(`${shielded(context)}\n\n${question}`)
          : conversation.ask(shielded(context), question);
    if (i > 0) parts.push({ ids: answer, probe: null });
    parts.push(...turnParts(tokenizer, asked));
    const closing = encode(conversation.answered(shielded(turn.answer)));
    // What ends an answer is a part of it; what a template writes behind that is the next turn's.
    const end = closing.findIndex((id) => model.eosIds.has(id));
    answer = [...encode(shielded(turn.answer)), ...closing.slice(0, end + 1)];
    if (i < turns.length - 1) answer.push(...closing.slice(end + 1));
  }
  const [prompt, ...rest] = joinHead(point === "whole" ? chatParts(model, messagesOf(example), request) : parts);
  if (prompt === undefined) throw new WinnowError("prompt", "an example has no question; expected at least one turn");
  const before = rest.flatMap(({ ids }) => ids);
  expectRoom(model, prompt.ids.length + before.length + answer.length);
  return { prompt: { ...prompt, probe: thinProbe(prompt.probe, probeShare) }, before, answer };
}

/** The conversation up to where its last answer begins. */
function messagesOf({ system, context, turns }: Example): readonly ChatMessage[] {
  const said = turns.flatMap(({ question, answer }, i): ChatMessage[] => [
    { role: "user", content: i === 0 && context !== "" ? `${context}\n\n${question}` : question },
    { role: "assistant", content: answer },
  ]);
  return [...(system === null ? [] : [{ role: "system", content: system } as const]), ...said.slice(0, -1)];
}

function expectRoom({ engine }: Model, tokens: number): void {
  if (tokens <= engine.context) return;
  throw new WinnowError(
    "context",
    `an example with its question and answer has ${tokens} tokens, and the context holds ${engine.context}; give fewer with --tokens`,
  );
}

/** A long system message is a part of its own: here it is read with what follows it. */
function joinHead(parts: readonly PromptPart[]): readonly PromptPart[] {
  const [first, second, ...others] = parts;
  if (first?.shared !== true || second === undefined) return parts;
  return [{ ids: [...first.ids, ...second.ids], probe: joinProbes(first.probe, second.probe) }, ...others];
}

function joinProbes(first: PromptPart["probe"], second: PromptPart["probe"]): PromptPart["probe"] {
  if (first?.kind !== "replay" || second?.kind !== "replay") return second;
  return { ...second, subject: [...first.subject, ...second.subject] };
}
