/** The tensors of a decoder layer in Hugging Face layout, without `model.layers.N.` and `.weight`. */
export interface LayerNames {
  readonly attentionNorm: string;
  /** One that is fused, or q, k and v. */
  readonly qkv: readonly [string] | readonly [string, string, string];
  /** Of each head of q and k, before they are rotated; null where they are not normed. */
  readonly queryNorm: string | null;
  readonly keyNorm: string | null;
  readonly output: string;
  /** Of what attention gives, before it is added; null where it is not normed. */
  readonly attentionPostNorm: string | null;
  readonly feedForwardNorm: string;
  /** One that is fused, or gate and up. */
  readonly gateUp: readonly [string] | readonly [string, string];
  readonly down: string;
  readonly feedForwardPostNorm: string | null;
}

/** What a configuration says of layers that see a window. */
export interface WindowFields {
  /** `use_sliding_window`; null where it is not said. */
  readonly isUsed: boolean | null;
  /** Layers before this one see everything: `max_window_layers`. */
  readonly first: number | null;
  /** Every so-manieth layer sees everything: `sliding_window_pattern`. */
  readonly pattern: number | null;
}

/**
 * A family of decoders: what tells it from Llama's, grouped queries and a gated feed-forward layer between two residual
 * branches, each behind a root mean square norm (arXiv 2302.13971, section 2.2).
 */
export interface Family {
  /** The name in `architectures` of a `config.json`. */
  readonly architecture: string;
  /** The name in `model_type`, where `architectures` is missing. */
  readonly modelType: string;
  readonly gguf: {
    /** Its `general.architecture` in GGUF files. */
    readonly architecture: string;
    /** Whether files have the rows of q and k in the order of a rotation that turns neighbours. */
    readonly turnsNeighbours: boolean;
  };
  readonly names: LayerNames;
  /** What gates the feed-forward layer: the name in `hidden_act` or `hidden_activation`. */
  readonly activation: "silu" | "gelu_pytorch_tanh";
  /** Whether q, k and v have biases, and attention's output has none; null where `attention_bias` says. */
  readonly qkvBias: boolean | null;
  /** What is added to the norms' weights of files in Hugging Face layout; GGUF files have it added. */
  readonly normOffset: 0 | 1;
  /** What scores and logits are capped at where the configuration does not say; null where they are not. */
  readonly caps: { readonly scores: number; readonly logits: number } | null;
  /** Whether embeddings are multiplied by the root of their width. */
  readonly scalesEmbedding: boolean;
  /** Whether the embedding is the output head too, where the configuration does not say. */
  readonly tiedHead: boolean;
  /** Positions that a row of a layer with a window sees where `sliding_window` is missing; null for all. */
  readonly window: number | null;
  /** Whether a layer sees a window, where there is one and no list says. */
  seesWindow(layer: number, fields: WindowFields): boolean;
  /** The base of the rotation in layers that see a window, where it is another; null where all have one. */
  readonly windowTheta: number | null;
  /** Of every so many layers the last is not rotated, where no list says; null where all are. */
  readonly unrotatedInterval: number | null;
}
