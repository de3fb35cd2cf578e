import type { Cell } from "./cells";
import { digestOf } from "./digest";
import { drawExample } from "./draw-example";
import type { ExampleReading } from "./example-tokens";
import { resultsOf, type AnsweredSample, type EvalResult } from "./results";
import type { FileTask } from "./files/file-task";
import type { Models } from "./every-cell";
import { runExample } from "./run-example";
import { runWritten } from "./run-written";
import type { SavedAnswers } from "./saved-answers";
import { exampleSeed } from "./seeds";
import type { Grading, Task } from "./tasks/task";
import { TASKS } from "./tasks/tasks";
import { versusOf, type Versus } from "./versus";

export interface EvaluateOptions extends ExampleReading {
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
  /** A policy that is compared with each of the others. Default: adaptive. */
  readonly versus?: string | undefined;
  readonly saved: SavedAnswers | null;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What an evaluation found. */
export interface Evaluation {
  readonly results: readonly EvalResult[];
  /** One policy beside the others; null where there is nothing to compare. */
  readonly versus: Versus | null;
}

/** What samples are asked of. */
interface Asking {
  readonly name: string;
  readonly grading: Grading;
  /** Under which its answers are saved. */
  readonly key: string;
  readonly samples: number;
  /** Ask one sample under some cells, the first of which is the full cache. */
  ask(sample: number, cells: readonly Cell[]): Promise<AnsweredSample>;
}

/** Every sample of every task under every cell. */
export interface Answers {
  readonly tasks: readonly Pick<Task, "name" | "grading">[];
  /** By task, in their order. */
  readonly answered: readonly (readonly AnsweredSample[])[];
}

/**
 * Answer every sample of every task under every cell, and compare.
 *
 * @throws WinnowError `aborted`
 */
export async function evaluate(models: Models, options: EvaluateOptions): Promise<Evaluation> {
  const { tasks, answered } = await answerAll(models, options);
  return {
    results: resultsOf(tasks, options.cells, answered),
    versus: versusOf(options.versus ?? "adaptive", tasks, options.cells, answered),
  };
}

/**
 * Answer every sample of every task under every cell: a prompt is read once for all of them.
 *
 * @throws WinnowError `aborted`
 */
export async function answerAll(models: Models, options: EvaluateOptions): Promise<Answers> {
  const { cells, saved } = options;
  const all = [
    ...options.tasks.map((task) => ofTask(models, task, options)),
    ...options.files.map((file) => ofFile(models, file, options)),
  ];
  const total = all.reduce((sum, { samples }) => sum + samples, 0);
  const answered: AnsweredSample[][] = [];
  let done = 0;
  for (const one of all) {
    const samples: AnsweredSample[] = [];
    for (let sample = 0; sample < one.samples; sample++) {
      samples.push(await answerOnce(one, sample, cells, saved));
      options.onProgress?.(++done, total);
    }
    answered.push(samples);
  }
  return { tasks: all, answered };
}

/** Ask what is not known yet: the full cache always, where anything is, for others are compared with it. */
async function answerOnce(
  asking: Asking,
  sample: number,
  cells: readonly Cell[],
  saved: SavedAnswers | null,
): Promise<AnsweredSample> {
  const known = saved?.get(asking.key, sample) ?? null;
  const missing = cells.filter(({ id }, c) => c > 0 && known?.outcomes.has(id) !== true);
  if (known !== null && missing.length === 0)
    return { asked: known.asked, outcomes: cells.flatMap(({ id }) => known.outcomes.get(id) ?? []) };
  const asked = [...cells.slice(0, 1), ...missing];
  const { outcomes, ...one } = await asking.ask(sample, asked);
  const found = new Map(outcomes.map((outcome, i) => [asked[i]?.id ?? "", outcome]));
  await saved?.put(asking.key, one.asked, [...found]);
  return { ...one, outcomes: cells.flatMap(({ id }) => found.get(id) ?? known?.outcomes.get(id) ?? []) };
}

function ofTask(models: Models, task: Task, options: EvaluateOptions): Asking {
  const { samples, seed, kind, tokens } = options;
  return {
    name: task.name,
    grading: task.grading,
    key: task.name,
    samples,
    async ask(sample, cells) {
      const example = drawExample(models.whole, task, exampleSeed(seed, TASKS.indexOf(task), sample, kind), tokens);
      const { question = "", answer = "" } = example.turns.at(-1) ?? {};
      const outcomes = await runExample(models, example, task.grading, cells, options);
      return { asked: { sample, question, answer }, outcomes };
    },
  };
}

function ofFile(models: Models, { name, examples, score }: FileTask, options: EvaluateOptions): Asking {
  return {
    name,
    grading: "exact",
    key: `${name} ${digestOf(examples)}`,
    samples: Math.min(options.samples, examples.length),
    async ask(sample, cells) {
      const example = examples[sample] ?? { context: "", question: "", answers: [] };
      const outcomes = await runWritten(models, example, score, cells, options);
      return { asked: { sample, question: example.question, answer: example.answers.join(" / ") }, outcomes };
    },
  };
}
