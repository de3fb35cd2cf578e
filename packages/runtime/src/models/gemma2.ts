import type { Family } from "./family";
import { LLAMA } from "./llama";

/**
 * Gemma 2 (arXiv 2408.00118, section 2): scaled embeddings; norms behind both branches as well; every second layer sees a
 * window; scores and logits are capped; a gate of gelu.
 */
export const GEMMA2 = {
  ...LLAMA,
  architecture: "Gemma2ForCausalLM",
  modelType: "gemma2",
  gguf: { architecture: "gemma2", turnsNeighbours: false },
  names: {
    ...LLAMA.names,
    attentionPostNorm: "post_attention_layernorm",
    feedForwardNorm: "pre_feedforward_layernorm",
    feedForwardPostNorm: "post_feedforward_layernorm",
  },
  activation: "gelu_pytorch_tanh",
  normOffset: 1,
  caps: { scores: 50, logits: 30 },
  scalesEmbedding: true,
  tiedHead: true,
  window: 4096,
  seesWindow: (layer) => layer % 2 === 0,
} as const satisfies Family;
