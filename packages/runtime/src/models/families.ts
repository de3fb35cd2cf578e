/**
 * Families whose decoder is Llama's (arXiv 2302.13971, section 2.2) but for what is named here: grouped queries, RMS norms,
 * rotated halves, and a gated feed-forward layer.
 */
export interface Family {
  /** The name in `architectures` of a `config.json`. */
  readonly architecture: "LlamaForCausalLM" | "MistralForCausalLM" | "Qwen2ForCausalLM";
  /** The name in `model_type`, where `architectures` is missing. */
  readonly modelType: string;
  /** Whether q, k and v have biases whatever the configuration says, and the output of attention has none. */
  readonly qkvBias: boolean;
  /** Positions that a row sees where `sliding_window` is missing; null for all. */
  readonly window: number | null;
  /** Whether a window counts only where `use_sliding_window` is set. */
  readonly windowIsOptional: boolean;
}

/** Llama 1 to 3.2, SmolLM2, and whatever else calls itself one. Biases, where there are any, are in the configuration. */
const LLAMA: Family = {
  architecture: "LlamaForCausalLM",
  modelType: "llama",
  qkvBias: false,
  window: null,
  windowIsOptional: false,
};

/** Mistral 7B (arXiv 2310.06825). Its first version sees a window; later ones see everything. */
const MISTRAL: Family = { ...LLAMA, architecture: "MistralForCausalLM", modelType: "mistral", window: 4096 };

/** Qwen2 and 2.5 (arXiv 2407.10671, section 2.2.1). */
const QWEN2: Family = {
  architecture: "Qwen2ForCausalLM",
  modelType: "qwen2",
  qkvBias: true,
  window: null,
  windowIsOptional: true,
};

export const FAMILIES: readonly Family[] = [LLAMA, MISTRAL, QWEN2];
