import { readFileSync } from "node:fs";

import { repositoryRoot } from "./repository";

/** Token ids of the model's own world: the goldens' prompts, one behind the other. */
export function goldenPrompt(count: number): number[] {
  const lines = readFileSync(`${repositoryRoot()}/goldens/demo.jsonl`, "utf8").trim().split("\n");
  const ids = lines.flatMap((line) => (JSON.parse(line) as { ids: number[] }).ids.slice(1));
  return [0, ...ids.slice(0, count - 1)];
}
