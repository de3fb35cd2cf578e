import {
  rows,
  type AttendSpec,
  type Backend,
  type DeviceTensor,
  type EmbedSpec,
  type HeadShape,
  type MatmulSpec,
  type RmsNormSpec,
  type Rows,
} from "@winnow/core-tensor";

import { weighted, type Linear, type LinearPart } from "./linear";

/** The weights of one decoder layer on the device. */
export interface DecoderLayer {
  /** f32 [width] */
  readonly attentionNorm: DeviceTensor;
  /** Together [(queryHeads + 2·kvHeads)·headDim, width]: q, k and v one below the other. */
  readonly qkv: readonly LinearPart[];
  /** f32 [queryHeads + kvHeads, headDim]: of each head of q and k; null where they are not normed. */
  readonly queryKeyNorm: DeviceTensor | null;
  /** [width, queryHeads·headDim] */
  readonly output: Linear;
  /** f32 [width]; null where what attention gives is not normed. */
  readonly attentionPostNorm: DeviceTensor | null;
  /** f32 [width] */
  readonly feedForwardNorm: DeviceTensor;
  /** [2·feedForward, width]: gate above up. */
  readonly gateUp: Linear;
  /** [width, feedForward] */
  readonly down: Linear;
  /** f32 [width]; null where what the feed-forward layer gives is not normed. */
  readonly feedForwardPostNorm: DeviceTensor | null;
}

export interface DecoderWeights {
  /** [vocabulary, width], floats or quantised. */
  readonly embedding: DeviceTensor;
  readonly layers: readonly DecoderLayer[];
  /** f32 [width] */
  readonly norm: DeviceTensor;
  /** [vocabulary, width], likewise; the embedding itself where the two are tied. */
  readonly head: DeviceTensor;
}

export interface DecoderShape {
  readonly heads: HeadShape;
  readonly width: number;
  readonly feedForward: number;
  readonly vocabulary: number;
  readonly normEpsilon: number;
  /** What embeddings are multiplied by. */
  readonly embeddingScale: number;
  readonly activation: "silu-gate" | "gelu-gate";
  readonly attentionScale: number;
  /** What scores, and logits, are capped at; null where they are not. */
  readonly scoreCap: number | null;
  readonly logitCap: number | null;
  /** By layer: positions that a row sees, itself included; null for all. */
  readonly windows: readonly (number | null)[];
  /** Whether what branches give is normed before it is added. */
  readonly postNorms: boolean;
}

/** Temporary rows of one unit of work: as many as are read at a time. */
export class DecoderWorkspace implements Disposable {
  readonly qkv: DeviceTensor;
  readonly attended: DeviceTensor;
  readonly gated: DeviceTensor;
  /** What a branch gives, where it is normed before it is added. */
  readonly branch: DeviceTensor | null;

  constructor(
    backend: Backend,
    shape: DecoderShape,
    readonly capacity: number,
  ) {
    const { queryHeads, kvHeads, headDim } = shape.heads;
    const make = (label: string, width: number): DeviceTensor =>
      backend.allocate("f32", [capacity, width], { label: `workspace.${label}`, category: "activations" });
    this.qkv = make("qkv", (queryHeads + 2 * kvHeads) * headDim);
    this.attended = make("attended", queryHeads * headDim);
    this.gated = make("gated", shape.feedForward);
    this.branch = shape.postNorms ? make("branch", shape.width) : null;
  }

  [Symbol.dispose](): void {
    for (const tensor of [this.qkv, this.attended, this.gated, this.branch]) tensor?.[Symbol.dispose]();
  }
}

/** What a layer does to rows outside of its attention. */
export type LayerOperation =
  { readonly name: "matmul"; readonly spec: MatmulSpec } | { readonly name: "rmsNorm"; readonly spec: RmsNormSpec };

/**
 * A decoder of any family, written against the operations of a backend: grouped query attention and a gated feed-forward
 * layer between two residual branches, each behind a root mean square norm (arXiv 2302.13971, section 2.2), with what
 * families add to that. What attention reads is the caller's: {@link projectQkv} ends before it, {@link finishLayer} begins
 * after it.
 */
export class Decoder {
  constructor(
    private readonly backend: Backend,
    readonly shape: DecoderShape,
    readonly weights: DecoderWeights,
  ) {}

  /** out = what the embedding has for the ids, scaled as the family does. */
  embed(ids: Rows, out: Rows): void {
    this.backend.embed(this.embedding(ids, out));
  }

  /** What {@link embed} does. */
  embedding(ids: Rows, out: Rows): EmbedSpec {
    return { table: this.weights.embedding, ids, scale: this.shape.embeddingScale, out };
  }

  /** Enqueue operations in order; they may be run as often as their tensors exist. */
  run(operations: readonly LayerOperation[]): void {
    for (const operation of operations) {
      if (operation.name === "matmul") this.backend.matmul(operation.spec);
      else this.backend.rmsNorm(operation.spec);
    }
  }

  /** qkv = norm(hidden) · Wᵀ + b, with q and k normed by head where the family does; not yet rotated. */
  projectQkv(layer: DecoderLayer, hidden: Rows, space: DecoderWorkspace): Rows {
    const qkv = rows(space.qkv, 0, hidden.count);
    this.run(this.projection(layer, hidden, qkv));
    return qkv;
  }

  /** What {@link projectQkv} does. */
  projection(layer: DecoderLayer, hidden: Rows, qkv: Rows): LayerOperation[] {
    const norm = this.#norm(layer.attentionNorm);
    const operations: LayerOperation[] = layer.qkv.map((part) => ({
      name: "matmul",
      spec: { x: hidden, norm, ...weighted(part), column: part.column, out: qkv },
    }));
    if (layer.queryKeyNorm !== null) {
      const epsilon = this.shape.normEpsilon;
      operations.push({ name: "rmsNorm", spec: { x: qkv, weight: layer.queryKeyNorm, epsilon, out: qkv } });
    }
    return operations;
  }

  /** How attention of a layer scores, and what its rows see. */
  sight(layer: number): Pick<AttendSpec, "heads" | "scale" | "softCap" | "window"> {
    const { heads, attentionScale, scoreCap, windows } = this.shape;
    const window = windows[layer] ?? null;
    return {
      heads,
      scale: attentionScale,
      ...(scoreCap === null ? {} : { softCap: scoreCap }),
      ...(window === null ? {} : { window }),
    };
  }

  /** hidden += attended · Wₒᵀ; hidden += feedForward(norm(hidden)); each normed before it is added where the family does. */
  finishLayer(layer: DecoderLayer, attended: Rows, hidden: Rows, space: DecoderWorkspace): void {
    this.run(this.completion(layer, attended, hidden, space));
  }

  /** What {@link finishLayer} does. */
  completion(layer: DecoderLayer, attended: Rows, hidden: Rows, space: DecoderWorkspace): LayerOperation[] {
    const gated = rows(space.gated, 0, hidden.count);
    return [
      ...this.#branch(attended, layer.output, layer.attentionPostNorm, hidden, space),
      {
        name: "matmul",
        spec: {
          x: hidden,
          norm: this.#norm(layer.feedForwardNorm),
          ...weighted(layer.gateUp),
          activation: this.shape.activation,
          out: gated,
        },
      },
      ...this.#branch(gated, layer.down, layer.feedForwardPostNorm, hidden, space),
    ];
  }

  /** logits = norm(hidden) · Wᵀ of the head. */
  predict(hidden: Rows, logits: Rows): void {
    this.backend.matmul(this.prediction(hidden, logits));
  }

  /** What {@link predict} does. */
  prediction(hidden: Rows, logits: Rows): MatmulSpec {
    const { logitCap } = this.shape;
    return {
      x: hidden,
      norm: this.#norm(this.weights.norm),
      weight: this.weights.head,
      ...(logitCap === null ? {} : { softCap: logitCap }),
      out: logits,
    };
  }

  /** hidden += norm(x · Wᵀ + b) */
  #branch(x: Rows, linear: Linear, norm: DeviceTensor | null, hidden: Rows, space: DecoderWorkspace): LayerOperation[] {
    if (norm === null || space.branch === null) {
      return [{ name: "matmul", spec: { x, ...weighted(linear), residual: hidden, out: hidden } }];
    }
    const branch = rows(space.branch, 0, hidden.count);
    const epsilon = this.shape.normEpsilon;
    return [
      { name: "matmul", spec: { x, ...weighted(linear), out: branch } },
      { name: "rmsNorm", spec: { x: branch, weight: norm, epsilon, residual: hidden, out: hidden } },
    ];
  }

  #norm(weight: DeviceTensor): { readonly weight: DeviceTensor; readonly epsilon: number } {
    return { weight, epsilon: this.shape.normEpsilon };
  }
}
