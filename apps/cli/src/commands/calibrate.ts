import { WinnowError, type Expr } from "@winnow/core-tensor";
import { formatScore, parseScore } from "@winnow/kv-policies";
import { formatPlan } from "@winnow/profiler";
import { idsPart } from "@winnow/runtime";
import { Command, Option } from "commander";

import { calibrate, type Calibration } from "../eval/calibrate";
import { drawExample } from "../eval/draw-example";
import { exampleTokens } from "../eval/example-tokens";
import { RESERVED, exampleSeed } from "../eval/seeds";
import { TASKS } from "../eval/tasks/tasks";
import { readTexts } from "../eval/texts";
import { abortOnInterrupt } from "../interrupt";
import { openModel, withModel, type ModelFlags } from "../options/model";
import { share, whole } from "../options/numbers";
import { outputFile } from "../output/output-file";
import { progressBar } from "../output/progress";
import { printJson } from "../output/result";

interface CalibrateFlags extends ModelFlags {
  readonly texts?: string;
  readonly documents: number;
  readonly tokens: number;
  readonly target: number;
  readonly by: Expr;
  readonly plan: string;
  readonly seed: number;
}

const EXAMPLES = `
Examples:
  winnow calibrate --model models/demo --target 50% --plan demo-50.json
  winnow calibrate --model big.gguf --texts texts.jsonl --target 40% --plan big-40.json
  winnow run --model models/demo --plan demo-50.json --prompt "Hello"`;

export function calibrateCommand(): Command {
  return withModel(
    new Command("calibrate").description(
      "Make a plan from probes over many texts, which any prompt then follows at no cost in time.",
    ),
  )
    .requiredOption("--plan <file>", "where to write the plan")
    .option(
      "--texts <file>",
      'texts to calibrate on, a JSON object with a "text" a line (default: documents of the demo model\'s world)',
    )
    .option("--documents <n>", "how many texts", whole(1), 32)
    .option("--tokens <n>", "the most tokens of a text", whole(16), 256)
    .option("--target <share>", "what the plan may keep of the full cache's bytes", share, 0.5)
    .addOption(
      new Option("--by <score>", "what ranks the slots of a head, over the prompt's own rows")
        .argParser((text) => parseScore(text))
        .default(parseScore("-keyDiff"), "-keyDiff"),
    )
    .option("--seed <n>", "what documents are drawn from", whole(0), 1)
    .option("--json", "print one JSON object and nothing else")
    .addHelpText("after", EXAMPLES)
    .action(run);
}

async function run(flags: CalibrateFlags): Promise<void> {
  const file = await outputFile(flags.plan, "--plan");
  const { signal, stop } = abortOnInterrupt();
  const texts = flags.texts === undefined ? null : await readTexts(flags.texts, flags.documents);
  using model = await openModel(flags, signal);
  const parts =
    texts === null
      ? Array.from({ length: flags.documents }, (_, document) => documentOf(model, flags, document))
      : texts.map((text) => idsPart(model.tokenizer, model.tokenizer.encode(text).slice(0, flags.tokens)));
  const bar = progressBar("calibrating", flags.json === true);
  try {
    const { target, by } = flags;
    const found = await calibrate(model, parts, { target, score: by, signal, onProgress: bar.update });
    await file.write(formatPlan(found.plan));
    bar.stop();
    const { shares, deviations, kept } = found;
    if (flags.json === true)
      printJson({ plan: flags.plan, texts: parts.length, target, score: formatScore(by), kept, shares, deviations });
    else process.stdout.write(tableOf(found, parts.length));
  } finally {
    bar.stop();
    stop();
  }
}

/** A document as a user's message, of a task by turns: none that is held out. */
function documentOf(
  model: Parameters<typeof exampleTokens>[0],
  { seed, tokens }: CalibrateFlags,
  document: number,
): ReturnType<typeof exampleTokens>["prompt"] {
  const tasks = TASKS.filter(({ name }) => name !== "story");
  const task = tasks[document % tasks.length];
  if (task === undefined) throw new WinnowError("range", "there is no task to draw a document of");
  const example = drawExample(model, task, exampleSeed(seed, RESERVED.calibrated, document, "calibration"), tokens);
  return exampleTokens(model, example, { question: "unseen" }).prompt;
}

function tableOf({ shares, deviations, kept }: Calibration, texts: number): string {
  const lines = shares.map((heads, l) => {
    const cells = heads.map(
      (of, h) => `${(100 * of).toFixed(0).padStart(4)} ±${(100 * (deviations[l]?.[h] ?? 0)).toFixed(0).padStart(2)}`,
    );
    return `layer ${String(l).padStart(2)} ${cells.join(" ")}`;
  });
  return [
    `share of a text that each KV head is given, in %, with its standard deviation over ${texts} texts:`,
    ...lines,
    `the plan keeps ${(100 * kept).toFixed(1)} % of the full cache's bytes of these texts`,
    "",
  ].join("\n");
}
