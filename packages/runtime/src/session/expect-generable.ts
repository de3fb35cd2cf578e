import { WinnowError } from "@winnow/core-tensor";

import type { GenerateOptions } from "./generate-options";

/** The most that OpenAI's clients ask for. */
const MOST_TOP_TOKENS = 20;

/** @throws WinnowError `usage` naming the option of an answer that is out of range. */
export function expectGenerable({
  maxTokens,
  choice,
  topTokens,
}: Readonly<Record<keyof Pick<GenerateOptions, "maxTokens" | "choice" | "topTokens">, number>>): void {
  if (maxTokens !== Infinity && !(Number.isInteger(maxTokens) && maxTokens >= 1)) {
    throw new WinnowError("usage", `maxTokens is ${maxTokens}; expected a whole number of at least 1`);
  }
  expectWhole("choice", choice, 0xffffffff);
  expectWhole("topTokens", topTokens, MOST_TOP_TOKENS);
}

function expectWhole(name: string, value: number, most: number): void {
  if (!(Number.isInteger(value) && value >= 0 && value <= most)) {
    throw new WinnowError("usage", `${name} is ${value}; expected a whole number from 0 to ${most}`);
  }
}
