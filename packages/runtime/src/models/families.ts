import type { Family } from "./family";
import { GEMMA2 } from "./gemma2";
import { GEMMA3 } from "./gemma3";
import { LLAMA } from "./llama";
import { MISTRAL } from "./mistral";
import { PHI3 } from "./phi3";
import { QWEN2 } from "./qwen2";
import { QWEN3 } from "./qwen3";
import { SMOLLM3 } from "./smollm3";

/** What can be run. In a GGUF file of several families' architecture the first of them is meant. */
export const FAMILIES: readonly Family[] = [LLAMA, MISTRAL, QWEN2, QWEN3, PHI3, GEMMA2, GEMMA3, SMOLLM3];

/** @throws RangeError for an architecture that no configuration was read with. */
export function familyNamed(architecture: string): Family {
  const family = FAMILIES.find((known) => known.architecture === architecture);
  if (family === undefined) throw new RangeError(`no family is called ${architecture}`);
  return family;
}
