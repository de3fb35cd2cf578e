import { WinnowError } from "@winnow/core-tensor";
import { formatPlan } from "@winnow/profiler";
import { parsePolicy } from "@winnow/kv-policies";
import { Command, Option } from "commander";

import { cutPointText } from "../eval/cut-point";
import { cellsOf } from "../eval/cells";
import { drawExample } from "../eval/draw-example";
import { limited, type Limit } from "../eval/limit";
import { measureRetrieval, type Retrieval } from "../eval/retrieval";
import { byRetrieval, meanOver, planAround, type Head } from "../eval/retrieval-heads";
import { retrievalSvg } from "../eval/report/retrieval-svg";
import { exampleSeed } from "../eval/seeds";
import type { Shares } from "../eval/shares";
import { TASKS, tasksOf } from "../eval/tasks/tasks";
import { abortOnInterrupt } from "../interrupt";
import { loadPlugins } from "../options/cache";
import { withExamples, withPlugins, type ExampleFlags, type PluginFlags } from "../options/examples";
import { openModel, withModel, type ModelFlags } from "../options/model";
import { limits, whole } from "../options/numbers";
import { outputFile } from "../output/output-file";
import { progressBar } from "../output/progress";
import { printJson } from "../output/result";

interface RetrievalFlags extends ModelFlags, ExampleFlags, PluginFlags {
  readonly tasks: string;
  readonly policies: string;
  readonly targets: readonly Limit[];
  readonly samples: number;
  readonly heads?: number;
  readonly svg?: string;
  readonly plan?: string;
  readonly spare: "most" | "least";
  readonly others: string;
}

const EXAMPLES = `
Examples:
  winnow retrieval --model models/demo --svg retrieval.svg
  winnow retrieval --model models/demo --policies "" --heads 6 --plan lookup.json --others "sink(4) | recent(10%)"
  winnow eval --model models/demo --tasks needle --policies full --plan lookup.json`;

export function retrievalCommand(): Command {
  const command = new Command("retrieval").description(
    "Show which heads look answers up in the prompt, and whether policies leave the answers to them.",
  );
  return withPlugins(withExamples(withModel(command)))
    .option("--tasks <names>", "tasks whose answers stand in their documents", "needle,keys")
    .option("--policies <names>", "policies to compare, separated by commas", "fastgen,heavy-hitter,snapkv,adaptive")
    .addOption(
      new Option("--targets <shares>", "what they are held to, as for winnow eval")
        .argParser(limits)
        .default(limits("50%"), "50%"),
    )
    .option("--samples <n>", "examples of each task, none of them held out", whole(1), 25)
    .option("--heads <n>", "how many KV heads count as those that look up (default: a quarter)", whole(1))
    .option("--svg <file>", "write heat maps as a picture")
    .option("--plan <file>", "write a plan that leaves these heads whole and cuts the others (DuoAttention)")
    .addOption(
      new Option(
        "--spare <which>",
        "whether a plan spares the heads that look up most, or least: to tell what they are worth",
      )
        .choices(["most", "least"])
        .default("most"),
    )
    .option("--others <policy>", "the policy of a plan's other heads", "sink(4) | recent(25%)")
    .option("--json", "print one JSON object and nothing else")
    .addHelpText("after", EXAMPLES)
    .action(run);
}

async function run(flags: RetrievalFlags): Promise<void> {
  const tasks = tasksOf(flags.tasks);
  const registry = await loadPlugins(flags.plugin);
  const cells = cellsOf(flags.policies, flags.targets, registry).filter(({ policy }) => policy !== "full");
  const quantised = cells.find(({ kvType }) => kvType !== null);
  if (quantised !== undefined) {
    throw new WinnowError(
      "usage",
      `--policies "${quantised.policy}": slots are counted here and not bits; name the policy without its cache's type`,
    );
  }
  const upgraded = cells.find(({ session }) => session.drift === "upgrade");
  if (upgraded !== undefined) {
    throw new WinnowError(
      "usage",
      `--policies "${upgraded.policy}": slots are counted where the prompt is cut, before any head drifts; name the policy without @upgrade`,
    );
  }
  const others = parsePolicy(flags.others, registry).text;
  const svg = flags.svg === undefined ? null : await outputFile(flags.svg, "--svg");
  const plan = flags.plan === undefined ? null : await outputFile(flags.plan, "--plan");
  const { signal, stop } = abortOnInterrupt();
  using model = await openModel(flags, signal);
  const { seed, tokens, samples } = flags;
  const examples = tasks.flatMap((task) =>
    Array.from({ length: samples }, (_, i) =>
      drawExample(model, task, exampleSeed(seed, TASKS.indexOf(task), i, "calibration"), tokens),
    ),
  );
  const bar = progressBar("looking up", flags.json === true);
  try {
    const found = await measureRetrieval(model, examples, cells, {
      question: flags.question,
      signal,
      onProgress: bar.update,
    });
    bar.stop();
    const ranked = byRetrieval(found.scores);
    const count = Math.min(ranked.length, flags.heads ?? Math.ceil(ranked.length / 4));
    const heads = ranked.slice(0, count);
    await svg?.write(retrievalSvg(found, `${flags.model}, ${cutPointText(flags.question)}`));
    const spared = flags.spare === "most" ? heads : ranked.slice(-count);
    await plan?.write(formatPlan(planAround(model.fingerprint, found.scores, spared, others)));
    if (flags.json === true) printJson({ model: flags.model, question: flags.question, heads, ...found });
    else process.stdout.write(tableOf(found, heads, ranked.slice(count)));
  } finally {
    bar.stop();
    stop();
  }
}

function tableOf({ samples, scores, kept }: Retrieval, heads: readonly Head[], rest: readonly Head[]): string {
  const width = Math.max(8, ...kept.map((one) => limited(one.policy, one).length));
  const cell = (share: number): string => (100 * share).toFixed(1).padStart(9);
  const line = (name: string, of: readonly [string, string, string, string]): string =>
    `  ${name.padEnd(width)}${of.join("")}`;
  const halves = (shares: Shares): [string, string] => [cell(meanOver(shares, heads)), cell(meanOver(shares, rest))];
  return [
    `share of the attention of an answer's rows that falls on the answer in the prompt, in %, ${samples} samples:`,
    ...scores.map((layer, l) => `layer ${String(l).padStart(2)} ${layer.map(cell).join("")}`),
    `${heads.length} of ${heads.length + rest.length} heads look up: ${heads.map(({ layer, head }) => `${layer}.${head}`).join(", ")}`,
    ...(kept.length === 0
      ? []
      : [
          "",
          "what is kept, in %, by heads that look up and by the others:",
          line("", ["  answer,".padStart(9), "others".padStart(9), "all,".padStart(9), "others".padStart(9)]),
          ...kept.map((one) => line(limited(one.policy, one), [...halves(one.answer), ...halves(one.all)])),
        ]),
    "",
  ].join("\n");
}
