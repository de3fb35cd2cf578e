import type { Family } from "./family";
import { GEMMA2 } from "./gemma2";

/**
 * Gemma 3, its text models (arXiv 2503.19786, section 2): Gemma 2 with norms of each head's query and key instead of caps;
 * five layers that see a window, and rotate faster, to each one that sees everything.
 */
export const GEMMA3: Family = {
  ...GEMMA2,
  architecture: "Gemma3ForCausalLM",
  modelType: "gemma3_text",
  gguf: { architecture: "gemma3", turnsNeighbours: false },
  caps: null,
  names: { ...GEMMA2.names, queryNorm: "self_attn.q_norm", keyNorm: "self_attn.k_norm" },
  seesWindow: (layer, { pattern }) => (layer + 1) % (pattern ?? 6) !== 0,
  windowTheta: 10_000,
};
