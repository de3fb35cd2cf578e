import type { Family } from "./family";
import { LLAMA } from "./llama";

/** Phi-3 and 3.5 mini (arXiv 2404.14219, section 2): Llama with fused projections, a window, and LongRoPE for long contexts. */
export const PHI3: Family = {
  ...LLAMA,
  architecture: "Phi3ForCausalLM",
  modelType: "phi3",
  gguf: { architecture: "phi3", turnsNeighbours: false },
  names: { ...LLAMA.names, qkv: ["self_attn.qkv_proj"], gateUp: ["mlp.gate_up_proj"] },
  seesWindow: () => true,
};
