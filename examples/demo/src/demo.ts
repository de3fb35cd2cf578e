import { fileURLToPath } from "node:url";

import { WinnowError } from "@winnow/core-tensor";
import { formatBytes, formatShare, heatMap, type TerminalColours } from "@winnow/profiler";
import { Chat, loadModel, openBackend, profileReport, type GenerationReport, type Model } from "@winnow/runtime";

import { DOCUMENT, QUESTIONS } from "./document";

const MODEL = fileURLToPath(new URL("../../../models/demo", import.meta.url));

const POLICIES = [
  { policy: "full", title: "the full cache" },
  { policy: "fastgen", title: "FastGen as in the paper (T = 0.95)" },
  { policy: "adaptive", title: "adaptive" },
] as const;

/** Read the document, cut the cache, and only then ask: nothing knows the question when slots are dropped. */
async function answer(
  model: Model,
  policy: string,
  question: string,
): Promise<{ report: GenerationReport; map: string }> {
  using session = model.createSession({ policy });
  const report = await new Chat(model, session).ask(DOCUMENT, { then: question, maxTokens: 40 }).report();
  return { report, map: heatMap(profileReport(model, session), { colours: terminalColours() }) };
}

function terminalColours(): TerminalColours {
  if (!process.stdout.isTTY || process.env.NO_COLOR !== undefined) return "none";
  return process.stdout.getColorDepth() >= 24 ? "truecolour" : "256";
}

async function main(): Promise<void> {
  using model = await loadModel(MODEL, { backend: await openBackend("cpu") });
  const print = (text = ""): void => {
    process.stdout.write(`${text}\n`);
  };
  print(
    `\nA document of ${model.tokenizer.encode(DOCUMENT).length} tokens is read and its KV cache is cut. Then come the questions.\n`,
  );
  const width = Math.max(...QUESTIONS.map(({ question }) => question.length));
  const maps: string[] = [];
  for (const { policy, title } of POLICIES) {
    print(`── ${title} ${"─".repeat(Math.max(0, 72 - title.length))}`);
    const reports: GenerationReport[] = [];
    for (const [i, { question, expected }] of QUESTIONS.entries()) {
      const { report, map } = await answer(model, policy, question);
      reports.push(report);
      if (i === 0 && policy !== "full") maps.push(`${title}\n${map}`);
      print(`  ${report.text.includes(expected) ? "✓" : "✗"} ${question.padEnd(width)}  ${report.text}`);
    }
    print(`  ${summary(reports)}\n`);
  }
  print("What each head keeps of the document:\n");
  for (const map of maps) print(`${map}\n`);
  print("Try it yourself:\n");
  print(
    '  node apps/cli/dist/winnow.js run --model models/demo --prompt "Mira keeps the red key in the barn." --then "Where does Mira keep the red key?"',
  );
  print("  node apps/cli/dist/winnow.js chat --model models/demo\n");
}

function summary(reports: readonly GenerationReport[]): string {
  const mean = (of: (report: GenerationReport) => number): number =>
    reports.reduce((sum, report) => sum + of(report), 0) / reports.length;
  const bytes = mean(({ kv }) => kv.bytes);
  const full = mean(({ kv }) => kv.fullBytes);
  const peak = mean(({ kv }) => kv.peakBytes);
  const reading = mean(({ promptTokens, timings }) => (1000 * promptTokens) / timings.promptMs);
  const decoding = mean(({ timings }) => timings.tokensPerSecond ?? 0);
  return [
    `KV cache ${formatBytes(bytes)} of ${formatBytes(full)} (${formatShare(bytes / full)}), peak ${formatBytes(peak)}`,
    `${reading.toFixed(0)} tokens/s read, ${decoding.toFixed(0)} tokens/s written`,
  ].join(" · ");
}

// A reader that has seen enough, such as head, is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  await main();
} catch (error) {
  if (!(error instanceof WinnowError)) throw error;
  process.stderr.write(`winnow: ${error.message}\n`);
  process.exitCode = 1;
}
