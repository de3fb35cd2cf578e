/** Products that a prompt takes, by what they are of. */
export interface PromptWork {
  /** With weights, whose type decides in what they are computed. */
  readonly weights: number;
  /** Of queries with keys, and of attention weights with values: of floats. */
  readonly attention: number;
}

/** What products depend on, of a decoder whose logits share the embedding. */
export interface PromptShape {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly vocab_size: number;
}

/** `models/demo`'s. */
export const DEMO: PromptShape = {
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 4,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 32,
  vocab_size: 1296,
};

/** Products of a prompt of so many tokens; logits are computed for the last token alone. */
export function promptWork(shape: PromptShape, tokens: number): PromptWork {
  const {
    hidden_size: hidden,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    vocab_size: vocabulary,
  } = shape;
  const perToken = layers * (hidden * headDim * (2 * heads + 2 * kvHeads) + 3 * hidden * inner);
  const seen = (tokens * (tokens + 1)) / 2;
  return { weights: tokens * perToken + hidden * vocabulary, attention: 2 * layers * heads * headDim * seen };
}

/** Milliseconds below which no kernel reads it, where products come at these rates, per second. */
export function leastMs({ weights, attention }: PromptWork, weightRate: number, floatRate: number): number {
  return 1000 * (weights / weightRate + attention / floatRate);
}
