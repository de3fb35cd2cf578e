import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { WinnowError } from "@winnow/core-tensor";
import { PolicyRegistry } from "@winnow/kv-policies";
import { parsePlan, type HeadPlan } from "@winnow/profiler";
import type { SessionOptions } from "@winnow/runtime";
import { Option, type Command } from "commander";

import { collect, number, share, tokenIds, whole } from "./numbers";

export interface CacheFlags {
  readonly policy?: string;
  readonly plan?: string;
  readonly plugin: readonly string[];
  readonly recovery?: number;
  readonly kvTarget?: number;
  readonly rows?: "prompt" | "late" | "probe";
  readonly probeIds?: number[];
  readonly interval?: number;
  readonly drift?: "ignore" | "upgrade";
  /** True where no number is given. */
  readonly speculate?: number | true;
}

/** Tokens that are guessed at a time where nobody says how many. */
const SPECULATE = 4;

export function withCache(command: Command): Command {
  return withSweeps(
    withPolicy(command).option("--plan <file>", "a plan that `winnow profile --plan` wrote, instead of a policy"),
  );
}

/** The flags of what happens while an answer is written. */
export function withSweeps(command: Command): Command {
  return command
    .option("--interval <tokens>", "tokens between two sweeps; 1 is the paper's algorithm (default: 16)", whole(1))
    .addOption(
      new Option(
        "--drift <what>",
        "whether heads that come to attend to what sweeps would drop are given more (default: ignore)",
      ).choices(["ignore", "upgrade"]),
    )
    .option(
      "--speculate [tokens]",
      `guess so many tokens at a time where the text has stood before; answers stay the same (default: none; without a number: ${SPECULATE})`,
      whole(0),
    );
}

/** The flags that choose and profile a policy. */
export function withPolicy(command: Command): Command {
  return command
    .option(
      "--policy <text>",
      "adaptive, fastgen, heavy-hitter, sink+recent, full, or an expression (default: adaptive)",
    )
    .option("--plugin <file>", "a module of policies, statistics or strategies; may be repeated", collect, [])
    .option(
      "--recovery <share>",
      "the share of attention that a head must keep, in (0, 1]",
      number("a share in (0, 1], such as 0.9", (x) => x > 0 && x <= 1),
    )
    .option(
      "--kv-target <share>",
      "what the cache may take of the full one's bytes, such as 40%: T or the policy's budget is found for it",
      share,
    )
    .addOption(new Option("--rows <source>", "where profiled rows come from").choices(["prompt", "late", "probe"]))
    .option("--probe-ids <ids>", "token ids that are read as the probe, in one chunk", tokenIds);
}

/** What the flags say of a session's cache. */
export async function sessionOptions(flags: CacheFlags): Promise<SessionOptions> {
  return {
    policy: flags.policy,
    plan: flags.plan === undefined ? undefined : await readPlan(flags.plan),
    recovery: flags.recovery,
    target: flags.kvTarget,
    rows: flags.rows ?? (flags.probeIds === undefined ? undefined : "probe"),
    interval: flags.interval,
    drift: flags.drift,
    speculate: flags.speculate === true ? SPECULATE : flags.speculate,
    registry: await loadPlugins(flags.plugin),
  };
}

/** A registry with the plug-ins of some files. */
export async function loadPlugins(files: readonly string[]): Promise<PolicyRegistry> {
  const registry = new PolicyRegistry();
  for (const file of files) registry.use(await importPlugin(file), file);
  return registry;
}

async function importPlugin(file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    const module: unknown = await import(pathToFileURL(resolve(file)).href);
    return isRecord(module) ? module : {};
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new WinnowError("plugin", `--plugin ${file}: the module could not be loaded: ${reason ?? ""}`, { cause });
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** @throws WinnowError `file` or `plan` naming the file. */
export async function readPlan(file: string): Promise<HeadPlan> {
  return parsePlan(await readText(file, "--plan"), file);
}

/** @throws WinnowError `file` naming the flag and the file. */
export async function readText(file: string, flag: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const reason =
      code === "ENOENT"
        ? "there is no such file"
        : code === "EISDIR"
          ? "it is a directory, expected a file"
          : `it cannot be read (${code})`;
    throw new WinnowError("file", `${flag} ${file}: ${reason}`, { cause });
  }
}
