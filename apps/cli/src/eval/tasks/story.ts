import { drawStory } from "../world/story";
import type { Task } from "./task";

/** A long answer to a short prompt: what is generated is what has to be remembered. */
export const story: Task = {
  name: "story",
  description: "a long answer to a short prompt",
  grading: "graded",
  example: (draw) => {
    const { request, text } = drawStory(draw);
    return { system: null, context: "", turns: [{ question: request, answer: text }] };
  },
};
