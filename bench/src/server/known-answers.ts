import { WinnowError } from "@winnow/core-tensor";

import { ask } from "./ask";
import { longSystemMessage, makeQuestion, type Message, type Question } from "./question";
import type { Known } from "./tally";

/** What is asked of the cache: nothing, so that the server decides, or a preset. */
const POLICIES = [null, "full", "adaptive", "heavy-hitter"];
/** One in so many has the long system message. */
const SHARING = 4;

/** Questions of many lengths and all presets, some with the same long beginning. */
export function loadQuestions(count: number): Question[] {
  const system: Message = { role: "system", content: longSystemMessage() };
  return Array.from({ length: count }, (_, i) => {
    const shares = i % SHARING === SHARING - 1;
    const sentences = shares ? ([6, 20] as const) : ([6, 44] as const);
    const question = makeQuestion(i, { sentences, maxTokens: 48 });
    // Those that share a beginning have a preset of the four as well.
    const policy = POLICIES[Math.floor(i / SHARING) % POLICIES.length] ?? null;
    return {
      ...question,
      messages: shares ? [system, ...question.messages] : question.messages,
      settings: { ...question.settings, ...(policy === null ? {} : { winnow: { policy } }) },
    };
  });
}

/**
 * Answers of a server that does nothing else.
 *
 * @throws WinnowError `usage` when it does not answer.
 */
export async function knownAnswers(url: string, questions: readonly Question[]): Promise<Known[]> {
  const known: Known[] = [];
  for (const question of questions) {
    const reply = await ask(url, question, { stream: false });
    if (reply.kind !== "answer") {
      throw new WinnowError("usage", `the idle server does not answer: ${JSON.stringify(reply).slice(0, 500)}`);
    }
    known.push({ question, text: reply.text });
  }
  return known;
}
