import { drawDocument } from "../world/document";
import { asked } from "./asked";
import type { Task } from "./task";

/** A field of one of many JSON rows. */
export const rows: Task = {
  name: "rows",
  description: "a field of one of many JSON rows",
  grading: "exact",
  example: (draw, size) => asked(drawDocument(draw, size, ["row"], ["row"], 0.9)),
};
