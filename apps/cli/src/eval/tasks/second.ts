import { drawDocument } from "../world/document";
import { SENTENCE_KINDS } from "../world/facts";
import type { Task } from "./task";

/** A second question about the same document, in a third of the examples a third one. */
export const second: Task = {
  name: "second",
  description: "a second and a third question about one document",
  grading: "exact",
  example: (draw, size) => {
    const questions = draw.unit() < 1 / 3 ? 3 : 2;
    const kinds = Array.from({ length: questions }, () => draw.one(SENTENCE_KINDS));
    const { text, facts } = drawDocument(draw, size, kinds);
    return { system: null, context: text, turns: facts.slice(0, questions) };
  },
};
