import { WinnowError, type KvType } from "@winnow/core-tensor";
import { resolvePolicy } from "@winnow/kv-policies";
import { estimateCache, formatBytes, formatShare } from "@winnow/profiler";
import { defaultPageSlots, expectPageSlots, openCheckpoint } from "@winnow/runtime";
import { Command } from "commander";

import { resolveModel } from "../hub/resolve-model";
import { loadPlugins } from "../options/cache";
import { MODEL_PLACES, kvTypeOption } from "../options/model";
import { collect, whole } from "../options/numbers";
import { printJson } from "../output/result";

interface EstimateFlags {
  readonly model: string;
  readonly context?: number;
  readonly batch: number;
  readonly policy: string;
  readonly plugin: readonly string[];
  readonly page?: number;
  readonly kvType: KvType;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  winnow estimate --model models/demo
  winnow estimate --model models/demo --context 512 --batch 8 --policy "sink(4) | recent(128)"
  winnow estimate --model models/demo --kv-type q8`;

export function estimateCommand(): Command {
  return new Command("estimate")
    .description("How many bytes a KV cache takes, before anything is loaded.")
    .requiredOption("-m, --model <path>", `${MODEL_PLACES}; no weights are read`)
    .option("--context <tokens>", "tokens a sequence (default: the model's context)", whole(1))
    .option("--batch <n>", "sequences", whole(1), 1)
    .option("--policy <text>", "a preset or an expression", "adaptive")
    .option("--plugin <file>", "a module of policies; may be repeated", collect, [])
    .option("--page <slots>", "slots a page", whole(1))
    .addOption(kvTypeOption("how the cache is stored").default("f32"))
    .option("--json", "print one JSON object and nothing else")
    .option("--debug", "show where an error came from")
    .addHelpText("after", EXAMPLES)
    .action(estimate);
}

async function estimate(flags: EstimateFlags): Promise<void> {
  const resolved = resolvePolicy(flags.policy, await loadPlugins(flags.plugin));
  if (resolved.kind === "strategy") {
    throw new WinnowError(
      "usage",
      `--policy ${flags.policy}: a strategy decides when it sees the prompt, so nothing can be said before`,
    );
  }
  const { preset } = resolved;
  await using checkpoint = await openCheckpoint((await resolveModel(flags.model)).place);
  const config = await checkpoint.config();
  const tokens = flags.context ?? config.context;
  const pageSlots = flags.page ?? defaultPageSlots(config.context);
  expectPageSlots(pageSlots);
  const windows = config.sights.map(({ window }) => window);
  const shape = { ...config, windows, pageSlots, kvType: flags.kvType };
  const found = estimateCache(shape, preset, tokens, flags.batch);
  if (flags.json === true) {
    printJson({ model: flags.model, policy: preset.text, tokens, batch: flags.batch, kvType: flags.kvType, ...found });
    return;
  }
  const share = (bytes: number): string =>
    `${formatBytes(bytes).padStart(9)}  ${formatShare(bytes / found.fullBytes).padStart(8)}`;
  process.stdout.write(
    [
      `${flags.batch} × ${tokens} tokens, ${config.layers} layers of ${config.kvHeads} KV heads of size ${config.headDim}, ${flags.kvType}`,
      `  a token       ${formatBytes(found.bytesPerToken).padStart(9)}`,
      `  full cache    ${share(found.fullBytes)}`,
      `  ${preset.text}`,
      `    at least    ${share(found.leastBytes)}`,
      `    at most     ${share(found.mostBytes)}`,
      "",
    ].join("\n"),
  );
}
