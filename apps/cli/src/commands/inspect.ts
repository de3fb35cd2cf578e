import {
  ScoreTable,
  TokenClasses,
  columnsNeeded,
  compile,
  formatAmount,
  resolvePolicy,
  tokenSetsOf,
  type Policy,
  type Preset,
} from "@winnow/kv-policies";
import { formatBytes, parsePlan } from "@winnow/profiler";
import { Command } from "commander";

import { loadPlugins, readText } from "../options/cache";
import { MODEL_PLACES } from "../options/model";
import { collect, whole } from "../options/numbers";
import { printTable } from "../output/table";
import { inspectModel } from "./inspect-model";

export function inspectCommand(): Command {
  const command = new Command("inspect").description("What a model, a policy or a plan is.").addHelpText(
    "after",
    `
Examples:
  winnow inspect model models/demo
  winnow inspect policy "special | frequent(30%)"
  winnow inspect policy fastgen
  winnow inspect plan plan.json
  winnow inspect gpu`,
  );
  command
    .command("model")
    .description("a model's family, shape and sizes, and whether it fits with each policy; its weights are not loaded")
    .argument("<path>", MODEL_PLACES)
    .option("--tokens <n>", "a sequence's length, to see what fits (default: the model's context)", whole(1))
    .option("--json", "print one JSON object and nothing else")
    .option("--debug", "show where an error came from")
    .addHelpText(
      "after",
      "\nExamples:\n  winnow inspect model models/demo\n  winnow inspect model model.gguf --tokens 8192",
    )
    .action(inspectModel);
  command
    .command("policy")
    .description("what a policy's text means, and what a device would run")
    .argument("<text>", "a preset or an expression")
    .option("--plugin <file>", "a module of policies, statistics or strategies; may be repeated", collect, [])
    .option("--debug", "show where an error came from")
    .addHelpText(
      "after",
      '\nExamples:\n  winnow inspect policy adaptive\n  winnow inspect policy "special | frequent(30%)"',
    )
    .action(inspectPolicy);
  command
    .command("plan")
    .description("what a plan was made for, and how many heads have which policy")
    .argument("<file>", "a file that profile --plan wrote")
    .option("--debug", "show where an error came from")
    .addHelpText("after", "\nExample:\n  winnow inspect plan plan.json")
    .action(inspectPlan);
  command
    .command("gpu")
    .description("the GPU that --backend webgpu takes, and what it allows")
    .option("--debug", "show where an error came from")
    .addHelpText("after", "\nExample:\n  winnow inspect gpu")
    .action(inspectGpu);
  return command;
}

async function inspectGpu(): Promise<void> {
  // Dawn is loaded by those alone who ask for it.
  const { describeAdapter } = await import("@winnow/gpu-backend");
  const { name, vendor, architecture, software, features, limits, subgroups, subgroupMatrices } =
    await describeAdapter();
  const shapes = subgroupMatrices.map(
    ({ M, N, K, componentType, resultComponentType }) =>
      `${M}×${N}×${K} of ${componentType} with sums of ${resultComponentType}`,
  );
  printTable([
    ["adapter", name],
    ["vendor", [vendor, architecture].filter((part) => part !== "").join(", ")],
    ["kind", software === null ? "a GPU" : `${software}, in software: --backend auto does not take it`],
    ["features", features.join(", ") || "none that are optional"],
    ["subgroups", subgroups === null ? "none" : `of ${subgroups.min} to ${subgroups.max} invocations`],
    ["matrices", shapes.join(", ") || "none"],
    [
      "buffer",
      `at most ${formatBytes(limits.maxBufferSize)}, of which ${formatBytes(limits.maxStorageBufferBindingSize)} a binding`,
    ],
    [
      "workgroup",
      `${limits.maxComputeInvocationsPerWorkgroup} invocations, ${formatBytes(limits.maxComputeWorkgroupStorageSize)}`,
    ],
    ["bindings", `${limits.maxStorageBuffersPerShaderStage} storage buffers a shader`],
  ]);
}

async function inspectPolicy(text: string, flags: { readonly plugin: readonly string[] }): Promise<void> {
  const resolved = resolvePolicy(text, await loadPlugins(flags.plugin));
  if (resolved.kind === "strategy") {
    const { text: name, source, budget, scope, needs, rows, generated } = resolved.strategy;
    printTable([
      ["strategy", name],
      ["source", source ?? "not told"],
      ["budget", budget === null ? "none" : formatAmount(budget)],
      [
        "decides",
        scope === "model" ? "over all layers, which are kept whole until the last is read" : "layer by layer",
      ],
      ["reads", needs.join(", ") || "no columns"],
      ["rows", rows],
      ["generated", generatedText(generated)],
    ]);
    return;
  }
  const { preset } = resolved;
  const [only] = preset.candidates;
  if (resolved.kind === "expression" && only !== undefined) {
    printTable([["canonical", only.text], ...policyRows(only)]);
    return;
  }
  printTable([
    ["preset", preset.text],
    ["source", preset.source],
    ...greatestRows(preset),
    ["threshold", thresholdText(preset)],
    ["rows", preset.rows],
    ["generated", generatedText(preset.generated)],
    ...preset.candidates.map((policy, i) => [i === 0 ? "candidates" : "", policy.text] as const),
  ]);
}

function generatedText(generated: Preset["generated"]): string {
  return generated === "sweep" ? "swept by the policy" : "kept";
}

function thresholdText({ threshold, greatest }: Preset): string {
  if (threshold === null) return "none";
  return greatest === null ? `T = ${threshold}` : "none, unless --recovery gives one";
}

function greatestRows({ greatest, threshold }: Preset): (readonly [string, string])[] {
  if (greatest === null) return [];
  const rest = threshold === null ? "" : "; the candidates are for --recovery";
  return [["keeps", `what some row gave more than ${100 * greatest.weight} % of its attention${rest}`]];
}

function policyRows(policy: Policy): (readonly [string, string])[] {
  const classes = new TokenClasses([]);
  classes.reserve(tokenSetsOf(policy).filter(({ kind }) => kind === "pattern"));
  const { stored, computed, custom } = columnsNeeded(policy);
  const rows: (readonly [string, string])[] = [["columns", stored.join(", ") || "none"]];
  if (computed.length + custom.length > 0) rows.push(["computed", [...computed, ...custom].join(", ")]);
  if (tokenSetsOf(policy).some(({ kind }) => kind === "ids")) return rows;
  const program = compile(policy, { promptTokens: 1000, length: 1000, kvHeads: 1, classes, scores: new ScoreTable() });
  rows.push(["program", `${program.keep.length} words, ${program.ranks.length} rank tests`]);
  if (program.ranks.length > 0) rows.push(["of 1,000", program.ranks.map(({ k }) => `${k} by rank`).join(", ")]);
  return rows;
}

async function inspectPlan(file: string): Promise<void> {
  const plan = parsePlan(await readText(file, "plan"), file);
  const counts = new Map<string, number>();
  for (const policy of plan.heads.flat()) counts.set(policy, (counts.get(policy) ?? 0) + 1);
  const { layers, queryHeads, kvHeads, headDim, vocabularySize, tokenizer } = plan.model;
  printTable([
    ["model", `${layers} layers of ${queryHeads} query heads on ${kvHeads} KV heads of size ${headDim}`],
    ["tokenizer", `${tokenizer}, ${vocabularySize} tokens`],
    [
      "policy",
      `${plan.policy}${plan.recovery === null ? "" : `, T = ${plan.recovery}`}, profiled on ${plan.rows} rows`,
    ],
    ["generated", plan.generated === "sweep" ? "swept by the policies" : "kept"],
    ...[...counts]
      .sort(([, a], [, b]) => b - a)
      .map(([policy, heads], i) => [i === 0 ? "heads" : "", `${heads} × ${policy}`] as const),
  ]);
}
