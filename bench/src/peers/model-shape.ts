/** What a decoder's speed depends on, of a `config.json`; there are no biases. */
export interface ModelShape {
  readonly max_position_embeddings: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly vocab_size: number;
  /** Whether logits share the embedding; they do unless told otherwise. */
  readonly tie_word_embeddings?: boolean;
}

/** Elements of one layer's matrices. */
export function layerElements({
  hidden_size: hidden,
  intermediate_size: inner,
  num_attention_heads: heads,
  num_key_value_heads: kvHeads,
  head_dim: headDim,
}: ModelShape): number {
  return hidden * headDim * (2 * heads + 2 * kvHeads) + 3 * hidden * inner;
}

/** Elements of all weights. */
export function weightElements(shape: ModelShape): number {
  const { hidden_size: hidden, num_hidden_layers: layers, vocab_size: vocabulary } = shape;
  const norms = (2 * layers + 1) * hidden;
  const tables = shape.tie_word_embeddings === false ? 2 : 1;
  return layers * layerElements(shape) + tables * vocabulary * hidden + norms;
}
