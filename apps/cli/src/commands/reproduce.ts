import { Command, InvalidArgumentError, Option } from "commander";

import { tasksOf } from "../eval/tasks/tasks";
import { abortOnInterrupt } from "../interrupt";
import { withExamples, type ExampleFlags } from "../options/examples";
import { openModel, withModel, type ModelFlags } from "../options/model";
import { share, whole } from "../options/numbers";
import { outputFile } from "../output/output-file";
import { progressBar } from "../output/progress";
import { printJson } from "../output/result";
import { TABLE_2, type LatencySetting } from "../reproduce/paper";
import { reproduce } from "../reproduce/reproduce";
import { reproductionHtml } from "../reproduce/report/html";
import { reproductionText } from "../reproduce/report/text";
import { PARTS, type Part } from "../reproduce/reproduction";

interface ReproduceFlags extends ModelFlags, ExampleFlags {
  readonly only: readonly Part[];
  readonly tasks: string;
  readonly samples: number;
  readonly recovery: number;
  readonly latency: readonly LatencySetting[];
  readonly seconds: number;
  readonly repeats: number;
  readonly html?: string;
}

const EXAMPLES = `
Examples:
  winnow reproduce --model models/demo --only table1,table4,table5 --samples 50
  winnow reproduce --model models/demo --only table2 --latency 32+512,480+512x8
  winnow reproduce --model big.gguf --context 16416 --seconds 600 --html paper.html`;

export function reproduceCommand(): Command {
  const command = new Command("reproduce").description(
    "Measure the tables and figures of the FastGen paper on a model, beside the paper's own.",
  );
  return withExamples(withModel(command), "seen")
    .addOption(
      new Option("--only <parts>", `some of ${PARTS.join(",")}`).argParser(partsOf).default(PARTS, "all of them"),
    )
    .option(
      "--tasks <names>",
      "whose answers are compared with the full cache's",
      "needle,keys,rows,hops,second,instructions,story",
    )
    .option("--samples <n>", "examples of each task, and prompts that are profiled", whole(1), 25)
    .option("--recovery <share>", "T of tables 4 and 5 and of the figures", share, 0.98)
    .addOption(
      new Option("--latency <settings>", "table 2's lengths as PROMPT+NEW, or PROMPT+NEWxBATCH")
        .argParser(settingsOf)
        .default(TABLE_2, "the paper's"),
    )
    .option("--seconds <n>", "a run of table 2 that takes longer is given up", whole(1), 60)
    .option("--repeats <n>", "runs of tables 2 and 3, whose median counts", whole(1), 3)
    .option("--html <file>", "write everything as one page with the figures")
    .option("--json", "print one JSON object and nothing else")
    .addHelpText("after", EXAMPLES)
    .action(run);
}

async function run(flags: ReproduceFlags): Promise<void> {
  const tasks = tasksOf(flags.tasks);
  const page = flags.html === undefined ? null : await outputFile(flags.html, "--html");
  const { signal, stop } = abortOnInterrupt();
  using model = await openModel(flags, signal);
  const bar = progressBar("measuring", flags.json === true);
  try {
    const { only, seed, samples, tokens, question, recovery, latency, seconds, repeats } = flags;
    const found = await reproduce(model, {
      ...{ parts: only, tasks, seed, samples, tokens, question },
      ...{ recovery, latency, seconds, repeats, signal, onProgress: bar.update },
    });
    bar.stop();
    const reproduction = { ...found, model: flags.model };
    await page?.write(reproductionHtml(reproduction));
    if (flags.json === true) printJson(reproduction);
    else process.stdout.write(reproductionText(reproduction));
  } finally {
    bar.stop();
    stop();
  }
}

function partsOf(text: string): readonly Part[] {
  const asked = text.split(",").map((each) => {
    const part = PARTS.find((one) => one === each.trim());
    if (part === undefined) throw new InvalidArgumentError(`Expected some of ${PARTS.join(",")}.`);
    return part;
  });
  return PARTS.filter((part) => asked.includes(part));
}

function settingsOf(text: string): readonly LatencySetting[] {
  return text.split(",").map((each) => {
    const [, prompt, generated, batch] = /^([1-9]\d{0,6})\+([1-9]\d{0,6})(?:x([1-9]\d{0,3}))?$/.exec(each.trim()) ?? [];
    if (prompt === undefined) throw new InvalidArgumentError("Expected lengths such as 32+512 or 512+512x16.");
    return { prompt: Number(prompt), generated: Number(generated), batch: Number(batch ?? 1) };
  });
}
