import { drawDocument } from "../world/document";
import { asked } from "./asked";
import type { Task } from "./task";

/** A question that joins two sentences which stand apart. */
export const hops: Task = {
  name: "hops",
  description: "a question that joins two facts",
  grading: "exact",
  example: (draw, size) => asked(drawDocument(draw, size, ["chain"])),
};
