import type { HeadShape } from "@winnow/core-tensor";

/**
 * The least that an operation has to do: bytes that it has to read or write once, and floating-point operations, where a
 * multiplication and the addition behind it are two. A kernel that reads something twice does more, and its rates are
 * those of the useful part.
 */
export interface Work {
  readonly bytes: number;
  readonly flops: number;
}

const F32_BYTES = 4;

export interface ProductSize {
  readonly rows: number;
  readonly inputs: number;
  /** Rows of the weight; twice the width of the result where that is gated. */
  readonly outputs: number;
  readonly weightBytes: number;
  readonly gated?: boolean;
  readonly residual?: boolean;
}

/** `matmul`: the weight, the rows and the result once each; the norm, the gate and the residual cost no operation here. */
export function productWork({ rows, inputs, outputs, weightBytes, gated, residual }: ProductSize): Work {
  const width = gated === true ? outputs / 2 : outputs;
  const moved = rows * inputs + rows * width * (residual === true ? 2 : 1);
  return { bytes: weightBytes + F32_BYTES * moved, flops: 2 * rows * inputs * outputs };
}

export interface AttentionSize {
  readonly rows: number;
  readonly heads: HeadShape;
  /** Pairs of a row and a key that it sees, in one query head. */
  readonly pairs: number;
  /** Bytes of the keys and values that any row sees. */
  readonly keyValueBytes: number;
}

/** `attend`: q · k and weight · v for each pair; queries, keys, values and the result once each. */
export function attentionWork({ rows, heads, pairs, keyValueBytes }: AttentionSize): Work {
  const { queryHeads, headDim } = heads;
  return {
    bytes: keyValueBytes + F32_BYTES * 2 * rows * queryHeads * headDim,
    flops: 4 * queryHeads * headDim * pairs,
  };
}

/** Pairs of a row and a key at or before it, among `rows` rows. */
export function causalPairs(rows: number): number {
  return (rows * (rows + 1)) / 2;
}

/**
 * `append`: q, k and v read, q written in its place, k and v into the cache; rotating an element of q or k takes two
 * multiplications and an addition.
 *
 * @param slotBytes what the keys and values of one row take in the cache.
 */
export function appendWork(rows: number, { queryHeads, kvHeads, headDim }: HeadShape, slotBytes: number): Work {
  const read = rows * (queryHeads + 2 * kvHeads) * headDim;
  const rotation = rows * headDim;
  const written = rows * queryHeads * headDim;
  return {
    bytes: F32_BYTES * (read + rotation + written) + rows * slotBytes,
    flops: 3 * rows * (queryHeads + kvHeads) * headDim,
  };
}

/** `sample`: every logit once; comparing and exponentials are not counted. */
export function sampleWork(vocabulary: number): Work {
  return { bytes: F32_BYTES * vocabulary, flops: 0 };
}
