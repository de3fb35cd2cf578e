import type { SamplingOptions } from "@winnow/runtime";
import type { Command } from "commander";

import { collect, number, whole } from "./numbers";

export interface SamplingFlags {
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop: string[];
  readonly maxTokens?: number;
  readonly ignoreEos?: boolean;
}

export function withSampling(command: Command): Command {
  return command
    .option("--max-tokens <n>", "the most tokens to write (default: until the context is used up)", whole(1))
    .option(
      "--temperature <x>",
      "0 takes the likeliest token (default: the model's generation_config.json, else 0)",
      number("a number of at least 0", (x) => x >= 0),
    )
    .option("--top-k <n>", "draw among the n likeliest tokens; 0 for no limit", whole(0))
    .option(
      "--top-p <share>",
      "draw among the likeliest tokens that hold this share, in (0, 1]",
      number("a share in (0, 1]", (x) => x > 0 && x <= 1),
    )
    .option(
      "--min-p <share>",
      "least probability as a share of the greatest, in [0, 1)",
      number("a share in [0, 1)", (x) => x >= 0 && x < 1),
    )
    .option(
      "--repetition-penalty <x>",
      "above 1 makes tokens seen less likely",
      number("a number above 0", (x) => x > 0),
    )
    .option(
      "--seed <n>",
      "fixes what is drawn",
      number("a whole number from 0 to 4294967295", (x) => Number.isInteger(x) && x >= 0 && x <= 0xffffffff),
    )
    .option("--stop <text>", "end the answer before this text; may be repeated", collect, [])
    .option("--ignore-eos", "go on after an end-of-text token");
}

/** The flags as the runtime takes them. */
export function generateOptions(flags: SamplingFlags): SamplingOptions & {
  readonly stop: readonly string[];
  readonly maxTokens: number | undefined;
  readonly ignoreEos: boolean | undefined;
} {
  const { temperature, topK, topP, minP, repetitionPenalty, seed, stop, maxTokens, ignoreEos } = flags;
  return { temperature, topK, topP, minP, repetitionPenalty, seed, stop, maxTokens, ignoreEos };
}
