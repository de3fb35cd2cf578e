import type { ModelConfig } from "../files/config";
import { familyNamed } from "../models/families";
import type { RopeScaling } from "../models/rope";

/** A model's shape as `config.json` of its family has it. */
export function huggingFaceConfig(config: ModelConfig, dtype: string): Record<string, unknown> {
  const family = familyNamed(config.architecture);
  const windows = config.sights.map(({ window }) => window);
  const window = windows.find((size) => size !== null) ?? null;
  const scaling = config.ropeScaling;
  const unstretched = scaling.kind === "yarn" || scaling.kind === "dynamic" ? scaling.originalContext : config.context;
  return {
    architectures: [family.architecture],
    model_type: family.modelType,
    hidden_size: config.width,
    intermediate_size: config.feedForward,
    num_hidden_layers: config.layers,
    num_attention_heads: config.queryHeads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    max_position_embeddings: unstretched,
    vocab_size: config.vocabulary,
    rms_norm_eps: config.normEpsilon,
    hidden_act: family.activation,
    hidden_activation: family.activation,
    attention_bias: config.outputBias || (family.qkvBias === null && config.qkvBias),
    mlp_bias: config.feedForwardBias,
    tie_word_embeddings: config.tiedHead,
    rope_theta: config.ropeTheta,
    rope_scaling: ropeScaling(scaling, config.context),
    ...(config.windowTheta === null ? {} : { rope_local_base_freq: config.windowTheta }),
    ...(scaling.kind === "longrope" ? { original_max_position_embeddings: scaling.originalContext } : {}),
    sliding_window: window,
    use_sliding_window: window !== null,
    layer_types: windows.map((size) => (size === null ? "full_attention" : "sliding_attention")),
    ...(config.sights.some(({ rotation }) => rotation === "none")
      ? { no_rope_layers: config.sights.map(({ rotation }) => (rotation === "none" ? 0 : 1)) }
      : {}),
    query_pre_attn_scalar: 1 / config.attentionScale ** 2,
    attn_logit_softcapping: config.scoreCap,
    final_logit_softcapping: config.logitCap,
    bos_token_id: config.bosIds[0] ?? null,
    eos_token_id: config.eosIds.length === 1 ? config.eosIds[0] : config.eosIds,
    torch_dtype: dtype,
  };
}

function ropeScaling(scaling: RopeScaling, context: number): Record<string, unknown> | null {
  switch (scaling.kind) {
    case "none":
      return null;
    case "linear":
      return { rope_type: "linear", factor: scaling.factor };
    case "dynamic":
      return { rope_type: "dynamic", factor: scaling.factor };
    case "llama3":
      return {
        rope_type: "llama3",
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
        original_max_position_embeddings: scaling.originalContext,
      };
    case "yarn":
      return {
        rope_type: "yarn",
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalContext,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        attention_factor: scaling.magnitude,
      };
    case "longrope":
      return {
        rope_type: "longrope",
        short_factor: scaling.short,
        long_factor: scaling.long,
        attention_factor: scaling.magnitude,
        original_max_position_embeddings: scaling.originalContext,
      };
    // GGUF files have Llama 3's scaling as factors, which LongRoPE has too: here the same at every length.
    case "factors":
      return {
        rope_type: "longrope",
        short_factor: scaling.factors,
        long_factor: scaling.factors,
        attention_factor: 1,
        original_max_position_embeddings: context,
      };
  }
}
