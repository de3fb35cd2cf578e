import { basename } from "node:path";

import { WinnowError, type QuantisedKvType } from "@winnow/core-tensor";
import type { Model, PromptPart } from "@winnow/runtime";
import { Command, Option } from "commander";

import { cellsOf, DEFAULT_POLICIES, planCells, type Cell } from "../eval/cells";
import { digestOf } from "../eval/digest";
import { drawExample } from "../eval/draw-example";
import { evalHtml } from "../eval/report/html";
import type { EvalReport } from "../eval/report/eval-report";
import { evalTable } from "../eval/report/table";
import { evaluate } from "../eval/evaluate";
import type { Models } from "../eval/every-cell";
import type { FileTask } from "../eval/files/file-task";
import { readFileTask } from "../eval/files/read-file-task";
import { timeFirstTokens } from "../eval/first-token";
import { exampleTokens } from "../eval/example-tokens";
import { RESERVED, exampleSeed } from "../eval/seeds";
import type { Limit } from "../eval/limit";
import { SavedAnswers } from "../eval/saved-answers";
import type { Task } from "../eval/tasks/task";
import { tasksOf } from "../eval/tasks/tasks";
import { abortOnInterrupt } from "../interrupt";
import { loadPlugins, readPlan, readText } from "../options/cache";
import { withExamples, withPlugins, type ExampleFlags, type PluginFlags } from "../options/examples";
import { openModel, withModel, type ModelFlags } from "../options/model";
import { collect, limits, share, whole } from "../options/numbers";
import { outputFile } from "../output/output-file";
import { progressBar } from "../output/progress";
import { printJson } from "../output/result";

interface EvalFlags extends ModelFlags, ExampleFlags, PluginFlags {
  readonly tasks: string;
  readonly policies: string;
  readonly targets: readonly Limit[];
  readonly samples: number;
  readonly calibration?: boolean;
  readonly plan: readonly string[];
  readonly file: readonly string[];
  readonly maxTokens: number;
  readonly time: number;
  readonly probeShare?: number;
  readonly request?: string;
  readonly versus?: string;
  readonly save?: string;
  readonly html?: string;
}

const DEFAULT_TARGETS = "75%,50%,35%,25%";

const EXAMPLES = `
Examples:
  winnow eval --model models/demo --tasks needle,keys --policies adaptive,snapkv,random --targets 50%,25% --samples 50
  winnow eval --model big.gguf --tasks none --file niah_single_1.jsonl --policies adaptive,snapkv --targets 25%
  winnow eval --model models/demo --tasks all --samples 200 --save answers.jsonl --html report.html`;

export function evalCommand(): Command {
  const command = new Command("eval").description(
    "Answer questions under many policies, and compare them with the full cache.",
  );
  return withPlugins(withExamples(withModel(command)))
    .option("--tasks <names>", "all, none, or some of needle,keys,rows,hops,second,instructions,story,ppl", "all")
    .option(
      "--policies <names>",
      "policies to compare, separated by commas; @q8 or @q4 behind one: its cache in this type; @upgrade: as --drift of run",
      DEFAULT_POLICIES,
    )
    .addOption(
      new Option(
        "--targets <shares>",
        "shares of the full cache's bytes that they may keep; T=95%: what they keep for a recovery; own: by themselves",
      )
        .argParser(limits)
        .default(limits(DEFAULT_TARGETS), DEFAULT_TARGETS),
    )
    .option(
      "--file <file>",
      "questions in RULER's or LongBench's format, a JSON object a line; may be repeated",
      collect,
      [],
    )
    .option("--max-tokens <n>", "the most tokens of an answer to a file's question", whole(1), 64)
    .option("--time <n>", "time the first token of so many prompts under every policy", whole(0), 0)
    .option(
      "--probe-share <share>",
      "of a prompt, what its probe replays, in pieces that lie evenly over it (default: all)",
      share,
    )
    .option("--request <text>", 'what a probe asks (default: "Repeat the text.")')
    .option(
      "--versus <policy>",
      "one of them, to be compared with each of the others at the same target (default: adaptive)",
    )
    .option("--samples <n>", "examples of each task", whole(1), 50)
    .option("--calibration", "draw examples that are never held out, for tuning")
    .option("--plan <file>", "a plan to compare, of winnow calibrate or profile; may be repeated", collect, [])
    .option("--save <file>", "keep every answer there, and go on from it where a run was interrupted")
    .option("--html <file>", "write everything as one page with plots")
    .option("--json", "print one JSON object and nothing else")
    .addHelpText("after", EXAMPLES)
    .action(run);
}

async function run(flags: EvalFlags): Promise<void> {
  const files = await Promise.all(flags.file.map(readFileTask));
  const tasks = flags.tasks === "none" ? [] : tasksOf(flags.tasks);
  if (tasks.length + files.length === 0) {
    throw new WinnowError("usage", "--tasks none leaves nothing to answer; name some tasks, or give --file");
  }
  const registry = await loadPlugins(flags.plugin);
  const plans = await Promise.all(flags.plan.map(async (file) => [basename(file), await readPlan(file)] as const));
  const cells = [...cellsOf(flags.policies, flags.targets, registry), ...planCells(plans)];
  if (flags.versus !== undefined && !cells.some(({ policy }) => policy === flags.versus)) {
    const names = [...new Set(cells.map(({ policy }) => policy))].join(", ");
    throw new WinnowError("usage", `--versus "${flags.versus}" is not among the policies; expected one of ${names}`);
  }
  expectDistinct(
    [...tasks, ...files].map(({ name }) => name),
    "--file: two tasks",
  );
  expectDistinct(
    plans.map(([name]) => name),
    "--plan: two plans",
  );
  const page = flags.html === undefined ? null : await outputFile(flags.html, "--html");
  const { signal, stop } = abortOnInterrupt();
  using models = await openModels(flags, cells, signal);
  const { whole: model } = models;
  const kind = flags.calibration === true ? "calibration" : "held-out";
  const { seed, samples, tokens, question } = flags;
  const settings = {
    model: model.fingerprint,
    backend: model.engine.backend.name,
    kvType: model.engine.store.layout.kvType,
    plugins: await Promise.all(flags.plugin.map(async (file) => digestOf(await readText(file, "--plugin")))),
    ...{ seed, tokens, question, kind, maxTokens: flags.maxTokens },
    // Left out where they are as usual, so that such a run is the same whether they were named or not.
    ...(flags.probeShare === undefined ? {} : { probeShare: flags.probeShare }),
    ...(flags.request === undefined ? {} : { request: flags.request }),
  };
  const saved = flags.save === undefined ? null : await SavedAnswers.open(flags.save, settings);
  const bar = progressBar("answering", flags.json === true);
  try {
    const prompts = timedPrompts(model, tasks, files, flags);
    const firstToken = prompts.length === 0 ? [] : await timeFirstTokens(models, prompts, cells, signal);
    const { results, versus } = await evaluate(models, {
      tasks,
      files,
      maxTokens: flags.maxTokens,
      cells,
      samples,
      seed,
      tokens,
      kind,
      question,
      probeShare: flags.probeShare,
      request: flags.request,
      versus: flags.versus,
      saved,
      signal,
      onProgress: bar.update,
    });
    const report: EvalReport = {
      model: flags.model,
      backend: settings.backend,
      question,
      seed,
      tokens,
      results,
      versus,
      firstToken,
    };
    await page?.write(evalHtml(report));
    bar.stop();
    if (flags.json === true) printJson({ ...report });
    else process.stdout.write(evalTable(report));
  } finally {
    bar.stop();
    stop();
  }
}

/** The model, once for each way to store its cache that some cell has. */
async function openModels(flags: EvalFlags, cells: readonly Cell[], signal: AbortSignal): Promise<Models & Disposable> {
  const opened: Model[] = [];
  const open = async (options: ModelFlags): Promise<Model> => {
    const model = await openModel(options, signal);
    opened.push(model);
    return model;
  };
  const close = (): void => {
    for (const model of opened) model[Symbol.dispose]();
  };
  try {
    const whole = await open(flags);
    const quantised = new Map<QuantisedKvType, Model>();
    for (const kvType of new Set(cells.flatMap((cell) => cell.kvType ?? [])))
      quantised.set(kvType, await open({ ...flags, kvType }));
    return { whole, quantised, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

/** @throws WinnowError `usage` for a name that two lines of the report would share. */
function expectDistinct(names: readonly string[], what: string): void {
  const double = names.find((name, i) => names.indexOf(name) !== i);
  if (double !== undefined)
    throw new WinnowError("usage", `${what} are called "${double}", and answers go by name; rename one's file`);
}

/** Prompts of the first task, or of the first file, such as are answered too. */
function timedPrompts(
  model: Model,
  tasks: readonly Task[],
  files: readonly FileTask[],
  { time, seed, tokens, ...reading }: EvalFlags,
): readonly PromptPart[] {
  const [task] = tasks;
  const examples =
    task === undefined
      ? (files[0]?.examples ?? []).map((one) => ({ ...one, system: null, turns: [{ ...one, answer: "" }] }))
      : Array.from({ length: time }, (_, i) =>
          drawExample(model, task, exampleSeed(seed, RESERVED.timed, i, "calibration"), tokens),
        );
  return examples.slice(0, time).map((example) => exampleTokens(model, example, reading).prompt);
}
