import type { Family } from "./family";

/** Llama 1 to 3.2 (arXiv 2302.13971, 2307.09288, 2407.21783), SmolLM2, and whatever else calls itself one. */
export const LLAMA = {
  architecture: "LlamaForCausalLM",
  modelType: "llama",
  gguf: { architecture: "llama", turnsNeighbours: true },
  names: {
    attentionNorm: "input_layernorm",
    qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    queryNorm: null,
    keyNorm: null,
    output: "self_attn.o_proj",
    attentionPostNorm: null,
    feedForwardNorm: "post_attention_layernorm",
    gateUp: ["mlp.gate_proj", "mlp.up_proj"],
    down: "mlp.down_proj",
    feedForwardPostNorm: null,
  },
  activation: "silu",
  qkvBias: null,
  normOffset: 0,
  caps: null,
  scalesEmbedding: false,
  tiedHead: false,
  window: null,
  seesWindow: () => false,
  windowTheta: null,
  unrotatedInterval: null,
} as const satisfies Family;
