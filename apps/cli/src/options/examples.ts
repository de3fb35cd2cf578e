import { Option, type Command } from "commander";

import { CUT_POINTS, type CutPoint } from "../eval/cut-point";
import { collect, whole } from "./numbers";

/** What examples are drawn, and how they are asked. */
export interface ExampleFlags {
  readonly seed: number;
  /** The most tokens of a context. */
  readonly tokens: number;
  readonly question: CutPoint;
}

/**
 * @param question when it is read unless told otherwise.
 */
export function withExamples(command: Command, question: CutPoint = "unseen"): Command {
  return command
    .option("--seed <n>", "what the examples are drawn from", whole(0), 1)
    .option("--tokens <n>", "the most tokens of a context", whole(16), 256)
    .addOption(
      new Option(
        "--question <when>",
        "what is read before the cut: not the question, the first question, or the whole conversation",
      )
        .choices(CUT_POINTS)
        .default(question),
    );
}

export interface PluginFlags {
  readonly plugin: readonly string[];
}

export function withPlugins(command: Command): Command {
  return command.option(
    "--plugin <file>",
    "a module of policies, statistics or strategies; may be repeated",
    collect,
    [],
  );
}
