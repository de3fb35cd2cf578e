import type { Family } from "./family";
import { LLAMA } from "./llama";

/** Qwen2 and 2.5 (arXiv 2407.10671, section 2.2.1): biases of q, k and v; a window in the upper layers where it is asked for. */
export const QWEN2 = {
  ...LLAMA,
  architecture: "Qwen2ForCausalLM",
  modelType: "qwen2",
  gguf: { architecture: "qwen2", turnsNeighbours: false },
  qkvBias: true,
  seesWindow: (layer, { isUsed, first }) => isUsed === true && layer >= (first ?? 0),
} as const satisfies Family;
