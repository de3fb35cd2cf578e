import type { SlotView } from "@winnow/core-tensor";

import type { TokenClasses } from "./token-class";

/** The slots of one KV head, with what a policy's ratios and classes refer to. */
export interface HeadView extends SlotView {
  /** Prompt tokens read so far: what `recent(30%)` is a share of. */
  readonly promptTokens: number;
  /** Tokens read so far, evicted ones included: what `frequent(30%)` is a share of. */
  readonly length: number;
  /** What the slots' flags mean. */
  readonly classes: TokenClasses;
  /** f32 [count, headDim], rotated: where a plug-in's needs name "keys". */
  readonly keys?: Float32Array;
  /** f32 [count, headDim]: where they name "values". */
  readonly values?: Float32Array;
  /** Where they name "queries". */
  readonly queries?: QueryMoments;
}

/**
 * What the newest part of a prompt asked a KV head for: moments of its rows' queries, before rotation. The first four positions
 * are left out, since they are unlike all others.
 */
export interface QueryMoments {
  /** Query heads of the group. */
  readonly heads: number;
  readonly headDim: number;
  /** What a product of a query and a key is multiplied by. */
  readonly scale: number;
  /** f32 [heads, headDim] */
  readonly mean: Float32Array;
  /** f32 [heads, headDim, headDim] */
  readonly covariance: Float32Array;
  /** What rotates a query to a position: f32 [headDim], the cosines of its angles, then the sines. */
  readonly rotation: (position: number) => Float32Array;
}
