import { rows, type Backend, type DeviceTensor, type HeadShape, type Rows } from "@winnow/core-tensor";

/** The weights of one decoder layer on the device. */
export interface LlamaLayer {
  /** f32 [width] */
  readonly attentionNorm: DeviceTensor;
  /** f32 [(queryHeads + 2·kvHeads)·headDim, width]: q, k and v one below the other. */
  readonly qkv: DeviceTensor;
  readonly qkvBias: DeviceTensor | null;
  /** f32 [width, queryHeads·headDim] */
  readonly output: DeviceTensor;
  readonly outputBias: DeviceTensor | null;
  /** f32 [width] */
  readonly feedForwardNorm: DeviceTensor;
  /** f32 [2·feedForward, width]: gate above up. */
  readonly gateUp: DeviceTensor;
  readonly gateUpBias: DeviceTensor | null;
  /** f32 [width, feedForward] */
  readonly down: DeviceTensor;
  readonly downBias: DeviceTensor | null;
}

export interface LlamaWeights {
  /** f32 [vocabulary, width] */
  readonly embedding: DeviceTensor;
  readonly layers: readonly LlamaLayer[];
  /** f32 [width] */
  readonly norm: DeviceTensor;
  /** f32 [vocabulary, width]; the embedding itself where the two are tied. */
  readonly head: DeviceTensor;
}

export interface LlamaShape {
  readonly heads: HeadShape;
  readonly width: number;
  readonly feedForward: number;
  readonly vocabulary: number;
  readonly normEpsilon: number;
}

/** Temporary rows of one unit of work: as many as are read at a time. */
export class LlamaWorkspace implements Disposable {
  readonly qkv: DeviceTensor;
  readonly attended: DeviceTensor;
  readonly gated: DeviceTensor;

  constructor(
    backend: Backend,
    shape: LlamaShape,
    readonly capacity: number,
  ) {
    const { queryHeads, kvHeads, headDim } = shape.heads;
    const make = (label: string, width: number): DeviceTensor =>
      backend.allocate("f32", [capacity, width], { label: `workspace.${label}`, category: "activations" });
    this.qkv = make("qkv", (queryHeads + 2 * kvHeads) * headDim);
    this.attended = make("attended", queryHeads * headDim);
    this.gated = make("gated", shape.feedForward);
  }

  [Symbol.dispose](): void {
    for (const tensor of [this.qkv, this.attended, this.gated]) tensor[Symbol.dispose]();
  }
}

/**
 * Llama's decoder (arXiv 2302.13971, section 2.2) written against the operations of a backend: grouped query
 * attention between two residual branches, each behind a root mean square norm. What attention reads is the
 * caller's: {@link projectQkv} ends before it, {@link finishLayer} begins after it.
 */
export class Llama {
  constructor(
    private readonly backend: Backend,
    readonly shape: LlamaShape,
    readonly weights: LlamaWeights,
  ) {}

  embed(ids: Rows, out: Rows): void {
    this.backend.embed({ table: this.weights.embedding, ids, out });
  }

  /** qkv = norm(hidden) · Wᵀ + b, not yet rotated. */
  projectQkv(layer: LlamaLayer, hidden: Rows, space: LlamaWorkspace): Rows {
    const qkv = rows(space.qkv, 0, hidden.count);
    const norm = this.#norm(layer.attentionNorm);
    this.backend.matmul({ x: hidden, norm, weight: layer.qkv, ...biased(layer.qkvBias), out: qkv });
    return qkv;
  }

  /** hidden += attended · Wₒᵀ; hidden += feedForward(norm(hidden)). */
  finishLayer(layer: LlamaLayer, attended: Rows, hidden: Rows, space: LlamaWorkspace): void {
    const { backend } = this;
    const gated = rows(space.gated, 0, hidden.count);
    backend.matmul({ x: attended, weight: layer.output, ...biased(layer.outputBias), residual: hidden, out: hidden });
    backend.matmul({
      x: hidden,
      norm: this.#norm(layer.feedForwardNorm),
      weight: layer.gateUp,
      ...biased(layer.gateUpBias),
      activation: "silu-gate",
      out: gated,
    });
    backend.matmul({ x: gated, weight: layer.down, ...biased(layer.downBias), residual: hidden, out: hidden });
  }

  /** logits = norm(hidden) · Wᵀ of the head. */
  predict(hidden: Rows, logits: Rows): void {
    this.backend.matmul({ x: hidden, norm: this.#norm(this.weights.norm), weight: this.weights.head, out: logits });
  }

  #norm(weight: DeviceTensor): { readonly weight: DeviceTensor; readonly epsilon: number } {
    return { weight, epsilon: this.shape.normEpsilon };
  }
}

function biased(bias: DeviceTensor | null): { readonly bias?: DeviceTensor } {
  return bias === null ? {} : { bias };
}
