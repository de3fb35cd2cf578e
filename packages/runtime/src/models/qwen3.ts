import type { Family } from "./family";
import { QWEN2 } from "./qwen2";

/** Qwen3, its dense models (arXiv 2505.09388, section 2): norms of each head's query and key instead of biases. */
export const QWEN3: Family = {
  ...QWEN2,
  architecture: "Qwen3ForCausalLM",
  modelType: "qwen3",
  gguf: { architecture: "qwen3", turnsNeighbours: false },
  names: { ...QWEN2.names, queryNorm: "self_attn.q_norm", keyNorm: "self_attn.k_norm" },
  qkvBias: null,
};
