import { rows, type Backend, type DeviceTensor, type HeadShape, type Rows } from "@winnow/core-tensor";

import { weighted, type Linear, type LinearPart } from "./linear";

/** The weights of one decoder layer on the device. */
export interface LlamaLayer {
  /** f32 [width] */
  readonly attentionNorm: DeviceTensor;
  /** Together [(queryHeads + 2·kvHeads)·headDim, width]: q, k and v one below the other. */
  readonly qkv: readonly LinearPart[];
  /** [width, queryHeads·headDim] */
  readonly output: Linear;
  /** f32 [width] */
  readonly feedForwardNorm: DeviceTensor;
  /** [2·feedForward, width]: gate above up. */
  readonly gateUp: Linear;
  /** [width, feedForward] */
  readonly down: Linear;
}

export interface LlamaWeights {
  /** [vocabulary, width], floats or quantised. */
  readonly embedding: DeviceTensor;
  readonly layers: readonly LlamaLayer[];
  /** f32 [width] */
  readonly norm: DeviceTensor;
  /** [vocabulary, width], likewise; the embedding itself where the two are tied. */
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
    for (const part of layer.qkv) {
      this.backend.matmul({ x: hidden, norm, ...weighted(part), column: part.column, out: qkv });
    }
    return qkv;
  }

  /** hidden += attended · Wₒᵀ; hidden += feedForward(norm(hidden)). */
  finishLayer(layer: LlamaLayer, attended: Rows, hidden: Rows, space: LlamaWorkspace): void {
    const { backend } = this;
    const gated = rows(space.gated, 0, hidden.count);
    backend.matmul({ x: attended, ...weighted(layer.output), residual: hidden, out: hidden });
    backend.matmul({
      x: hidden,
      norm: this.#norm(layer.feedForwardNorm),
      ...weighted(layer.gateUp),
      activation: "silu-gate",
      out: gated,
    });
    backend.matmul({ x: gated, ...weighted(layer.down), residual: hidden, out: hidden });
  }

  /** logits = norm(hidden) · Wᵀ of the head. */
  predict(hidden: Rows, logits: Rows): void {
    this.backend.matmul({ x: hidden, norm: this.#norm(this.weights.norm), weight: this.weights.head, out: logits });
  }

  #norm(weight: DeviceTensor): { readonly weight: DeviceTensor; readonly epsilon: number } {
    return { weight, epsilon: this.shape.normEpsilon };
  }
}
