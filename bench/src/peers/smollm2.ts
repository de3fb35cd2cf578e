/** SmolLM2-135M's shape, for which weights are made; the text that it was trained on is of no matter to its speed. */
export const SMOLLM2_135M = {
  architectures: ["LlamaForCausalLM"],
  hidden_act: "silu",
  max_position_embeddings: 32_768,
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  head_dim: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 100_000,
  vocab_size: 49_152,
  tie_word_embeddings: true,
};
