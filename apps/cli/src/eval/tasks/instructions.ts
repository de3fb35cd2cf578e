import { drawDocument } from "../world/document";
import { SENTENCE_KINDS } from "../world/facts";
import type { Task } from "./task";

/** System messages, and what each asks of every answer. */
const RULES: readonly { readonly text: string; readonly apply: (answer: string, value: string) => string }[] = [
  { text: "Begin every answer with Sir.", apply: (answer) => `Sir. ${answer}` },
  { text: "End every answer with over.", apply: (answer) => `${answer} over.` },
  { text: "Answer in one word.", apply: (_, value) => value },
];

/** A rule at the head of the prompt, which the answer has to follow. */
export const instructions: Task = {
  name: "instructions",
  description: "a rule at the head of the prompt",
  grading: "exact",
  example: (draw, size) => {
    const { text, facts } = drawDocument(draw, size, [draw.one(SENTENCE_KINDS)]);
    const rule = draw.one(RULES);
    const { question = "", answer = "", value = "" } = facts[0] ?? {};
    return { system: rule.text, context: text, turns: [{ question, answer: rule.apply(answer, value) }] };
  },
};
