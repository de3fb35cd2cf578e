import { drawDocument } from "../world/document";
import { SENTENCE_KINDS } from "../world/facts";
import type { Task } from "./task";

/** One fact among sentences that say nothing. */
export const needle: Task = {
  name: "needle",
  description: "one fact among fillers",
  grading: "exact",
  example: (draw, size) => {
    const kind = draw.one(SENTENCE_KINDS);
    const { text, facts } = drawDocument(draw, size, [kind], []);
    const { question = "", answer = "" } = facts[0] ?? {};
    return { system: null, context: text, turns: [{ question, answer }] };
  },
};
