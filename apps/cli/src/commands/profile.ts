import {
  formatPlan,
  formatShare,
  heatMap,
  heatMapHtml,
  heatMapSvg,
  type HeadReport,
  type ProfileReport,
} from "@winnow/profiler";
import { profileReport, type Model, type Session } from "@winnow/runtime";
import { Command } from "commander";

import { abortOnInterrupt } from "../interrupt";
import { sessionOptions, withPolicy, type CacheFlags } from "../options/cache";
import { openModel, withModel, type ModelFlags } from "../options/model";
import { readingOf, withPrompt, type PromptFlags } from "../options/prompt";
import { terminalColours } from "../output/colours";
import { outputFile } from "../output/output-file";
import { progressBar } from "../output/progress";
import { printJson } from "../output/result";

interface ProfileFlags extends ModelFlags, PromptFlags, Omit<CacheFlags, "plan"> {
  readonly svg?: string;
  readonly html?: string;
  /** Where to write a plan, unlike the other commands' flag. */
  readonly plan?: string;
}

const EXAMPLES = `
Examples:
  winnow profile --model models/demo --prompt-file book.txt
  winnow profile --model models/demo --prompt-file book.txt --policy fastgen --recovery 0.98 --html report.html
  winnow profile --model models/demo --prompt-file book.txt --rows probe --plan plan.json
  winnow run --model models/demo --prompt "Hello" --plan plan.json`;

export function profileCommand(): Command {
  const command = new Command("profile").description("Read a prompt and show what each head keeps of it, and why.");
  withPolicy(withPrompt(withModel(command)));
  return command
    .option("--svg <file>", "write the heat map as a picture")
    .option("--html <file>", "write everything that was found as one page")
    .option("--plan <file>", "write each head's policy as a plan for run --plan")
    .option("--json", "print one JSON object and nothing else")
    .addHelpText("after", EXAMPLES)
    .action(profile);
}

async function profile(flags: ProfileFlags): Promise<void> {
  const json = flags.json === true;
  const { plan, ...policyFlags } = flags;
  const svg = flags.svg === undefined ? null : await outputFile(flags.svg, "--svg");
  const html = flags.html === undefined ? null : await outputFile(flags.html, "--html");
  const planFile = plan === undefined ? null : await outputFile(plan, "--plan");
  const { signal, stop } = abortOnInterrupt();
  using model = await openModel(flags, signal);
  using session = model.createSession(await sessionOptions(policyFlags));
  const reading = await readingOf(flags, model, session, undefined, signal);
  const parts =
    reading.kind === "parts" ? reading.parts : reading.chat.parts(reading.content, reading.then, reading.probe);
  const bar = progressBar("reading", json);
  try {
    await session.read(parts, { signal, onProgress: bar.update });
  } finally {
    bar.stop();
    stop();
  }
  const report = profileReport(model, session);
  await svg?.write(heatMapSvg(report));
  await html?.write(heatMapHtml(report));
  await planFile?.write(planOf(model, session, report));
  if (json) printJson(profileResult(report));
  else process.stdout.write(`${heatMap(report, { colours: terminalColours() })}\n\n${table(report)}\n`);
}

/** What `winnow profile --json` prints; later tools rely on it. */
function profileResult(report: ProfileReport): object {
  const { promptTokens, recovery, rows, kv } = report;
  const layers = report.layers.map(({ heads }) => ({
    heads: heads.map(({ policy, recovery: measured, kept, candidates }) => ({
      policy,
      recovery: measured,
      kept,
      candidates,
    })),
  }));
  return { promptTokens, recovery, rows, layers, kv: { bytes: kv.bytes, fullBytes: kv.fullBytes } };
}

function planOf(model: Model, { settings }: Session, report: ProfileReport): string {
  return formatPlan({
    model: model.fingerprint,
    policy: report.policy,
    recovery: report.recovery,
    rows: settings.policy.rows,
    generated: settings.policy.generated,
    heads: report.layers.map(({ heads }) => heads.map(({ policy }) => policy)),
    measured: report.layers.map(({ heads }) => heads.map(({ recovery }) => recovery)),
  });
}

function table(report: ProfileReport): string {
  const width = Math.max(...report.layers.flatMap(({ heads }) => heads.map(({ policy }) => policy.length)));
  const line = (layer: string, head: string, policy: string, recovery: string, kept: string): string =>
    `${layer.padStart(7)} ${head.padStart(5)}  ${policy.padEnd(width)} ${recovery.padStart(9)} ${kept.padStart(7)}`;
  const rows = report.layers.flatMap(({ heads }, l) =>
    heads.map(({ policy, recovery, kept }: HeadReport, h) =>
      line(String(l), String(h), policy, formatShare(recovery), String(kept)),
    ),
  );
  const note = report.rows.note === null ? "" : ` (${report.rows.note})`;
  return [
    `${report.promptTokens} tokens, profiled on ${report.rows.source} rows${note}${report.recovery === null ? "" : `, T = ${report.recovery}`}`,
    line("layer", "head", "policy", "recovery", "kept"),
    ...rows,
  ].join("\n");
}
