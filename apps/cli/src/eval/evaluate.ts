import type { Cell } from "./cells";
import { resultsOf, type AnsweredSample, type EvalResult } from "./results";
import type { FileTask } from "./files/file-task";
import type { Models } from "./every-cell";
import { runExample } from "./run-example";
import { runWritten } from "./run-written";
import type { SavedAnswers } from "./saved-answers";
import { exampleSeed } from "./seeds";
import type { Task } from "./tasks/task";
import { TASKS } from "./tasks/tasks";
import { Draw } from "./world/draw";

export interface EvaluateOptions {
  readonly tasks: readonly Task[];
  /** Questions of files, of which the first samples are asked. */
  readonly files: readonly FileTask[];
  /** The most tokens of an answer to them. */
  readonly maxTokens: number;
  /** The first of which is the full cache. */
  readonly cells: readonly Cell[];
  readonly samples: number;
  readonly seed: number;
  /** The most tokens of a context. */
  readonly tokens: number;
  readonly kind: "held-out" | "calibration";
  readonly seen: boolean;
  readonly saved: SavedAnswers | null;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Answer every sample of every task under every cell: a prompt is read once for all of them. */
export async function evaluate(models: Models, options: EvaluateOptions): Promise<readonly EvalResult[]> {
  const { tasks, files, cells, samples, saved, signal, seen } = options;
  const size = {
    tokens: options.tokens,
    count: (text: string) => models.whole.tokenizer.encode(text, { addSpecial: false }).length,
  };
  const answered: AnsweredSample[][] = [...tasks, ...files].map(() => []);
  const ofFiles = files.map(({ examples }) => Math.min(samples, examples.length));
  const total = tasks.length * samples + ofFiles.reduce((sum, count) => sum + count, 0);
  let done = 0;
  for (const [t, task] of tasks.entries()) {
    for (let sample = 0; sample < samples; sample++) {
      const known = saved?.get(task.name, sample) ?? null;
      const seed = exampleSeed(options.seed, TASKS.indexOf(task), sample, options.kind);
      const one = known ?? (await answer(models, task, new Draw(seed), size, sample, cells, { seen, signal }));
      if (known === null) await saved?.put(task.name, one);
      answered[t]?.push(one);
      options.onProgress?.(++done, total);
    }
  }
  for (const [f, file] of files.entries()) {
    for (const [sample, example] of file.examples.slice(0, samples).entries()) {
      const known = saved?.get(file.name, sample) ?? null;
      const asked = { sample, question: example.question, answer: example.answers.join(" / ") };
      const one = known ?? { asked, outcomes: await runWritten(models, example, file.score, cells, options) };
      if (known === null) await saved?.put(file.name, one);
      answered[tasks.length + f]?.push(one);
      options.onProgress?.(++done, total);
    }
  }
  return resultsOf([...tasks, ...files.map(({ name }) => ({ name, grading: "exact" as const }))], cells, answered);
}

async function answer(
  models: Models,
  task: Task,
  draw: Draw,
  size: Parameters<Task["example"]>[1],
  sample: number,
  cells: readonly Cell[],
  options: Parameters<typeof runExample>[4],
): Promise<AnsweredSample> {
  const example = task.example(draw, size);
  const outcomes = await runExample(models, example, task.grading, cells, options);
  const { question = "", answer: right = "" } = example.turns.at(-1) ?? {};
  return { asked: { sample, question, answer: right }, outcomes };
}
