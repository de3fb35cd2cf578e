import { WinnowError } from "@winnow/core-tensor";

import { hops } from "./hops";
import { instructions } from "./instructions";
import { keys } from "./keys";
import { needle } from "./needle";
import { ppl } from "./ppl";
import { rows } from "./rows";
import { second } from "./second";
import { story } from "./story";
import type { Task } from "./task";

export const TASKS: readonly Task[] = [needle, keys, rows, hops, second, instructions, story, ppl];

/**
 * Tasks by their names, separated by commas, or `all`.
 *
 * @throws WinnowError `usage` naming one that does not exist.
 */
export function tasksOf(text: string): readonly Task[] {
  if (text === "all") return TASKS;
  return text.split(",").map((name) => {
    const task = TASKS.find((one) => one.name === name.trim());
    if (task === undefined) {
      const known = TASKS.map((one) => one.name).join(", ");
      throw new WinnowError("usage", `--tasks: there is no task "${name.trim()}"; expected all, or some of ${known}`);
    }
    return task;
  });
}
