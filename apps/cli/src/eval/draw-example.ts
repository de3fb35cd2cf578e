import type { Model } from "@winnow/runtime";

import type { Example, Task } from "./tasks/task";
import { Draw } from "./world/draw";

/**
 * An example of a task whose context is at most so long.
 *
 * @param seed of `exampleSeed`.
 */
export function drawExample({ tokenizer }: Model, task: Task, seed: number, tokens: number): Example {
  const count = (text: string): number => tokenizer.encode(text, { addSpecial: false }).length;
  return task.example(new Draw(seed), { tokens, count });
}
