import { drawDocument } from "../world/document";
import type { Task } from "./task";

/** How likely a document is when it is to be repeated. */
export const ppl: Task = {
  name: "ppl",
  description: "the likelihood of a document that is to be repeated",
  grading: "likelihood",
  example: (draw, size) => {
    const { text } = drawDocument(draw, size, []);
    return { system: null, context: text, turns: [{ question: "Repeat the text.", answer: text }] };
  },
};
