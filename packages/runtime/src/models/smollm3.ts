import type { Family } from "./family";
import { LLAMA } from "./llama";

/** SmolLM3 (huggingface.co/blog/smollm3): a Llama whose every fourth layer is not rotated (NoPE, arXiv 2501.18795). */
export const SMOLLM3: Family = {
  ...LLAMA,
  architecture: "SmolLM3ForCausalLM",
  modelType: "smollm3",
  gguf: { architecture: "smollm3", turnsNeighbours: true },
  tiedHead: true,
  seesWindow: (_, { isUsed }) => isUsed === true,
  unrotatedInterval: 4,
};
