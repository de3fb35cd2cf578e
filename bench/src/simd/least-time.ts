import { layerElements, type ModelShape } from "../peers/model-shape";

/** Products that a prompt takes, by what they are of. */
export interface PromptWork {
  /** With weights, whose type decides in what they are computed. */
  readonly weights: number;
  /** Of queries with keys, and of attention weights with values: of floats. */
  readonly attention: number;
}

/** Products of a prompt of so many tokens; logits are computed for the last token alone. */
export function promptWork(shape: ModelShape, tokens: number): PromptWork {
  const {
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    head_dim: headDim,
    vocab_size: vocabulary,
  } = shape;
  const perToken = layers * layerElements(shape);
  const seen = (tokens * (tokens + 1)) / 2;
  return { weights: tokens * perToken + hidden * vocabulary, attention: 2 * layers * heads * headDim * seen };
}

/** Milliseconds below which no kernel reads it, where products come at these rates, per second. */
export function leastMs({ weights, attention }: PromptWork, weightRate: number, floatRate: number): number {
  return 1000 * (weights / weightRate + attention / floatRate);
}
