import { drawDocument } from "../world/document";
import { asked } from "./asked";
import type { Task } from "./task";

/** Many codes, of which one is asked for: every other line is a distractor. */
export const keys: Task = {
  name: "keys",
  description: "one code among many",
  grading: "exact",
  example: (draw, size) => asked(drawDocument(draw, size, ["code"], ["code"], 0.9)),
};
