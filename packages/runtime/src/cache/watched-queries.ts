import type { Backend, HeadShape, Rows } from "@winnow/core-tensor";
import type { QueryMoments } from "@winnow/kv-policies";

import { rotationOf, type Rotary } from "../models/rope";

/** The first positions are unlike all others (Expected Attention, arXiv 2510.00636, leaves out as many). */
const LEFT_OUT = 4;

/** Adds up the moments of a layer's queries, unit by unit, before they are rotated. */
export class WatchedQueries {
  #rows = 0;
  readonly #sums: Float64Array;
  /** Of products of two elements of a head's query. */
  readonly #products: Float64Array;

  constructor(
    private readonly heads: HeadShape,
    private readonly scale: number,
  ) {
    const { queryHeads, headDim } = heads;
    this.#sums = new Float64Array(queryHeads * headDim);
    this.#products = new Float64Array(queryHeads * headDim * headDim);
  }

  /**
   * @param qkv f32 rows of the layer's products.
   * @param position of the first of them; the others follow.
   */
  async add(backend: Backend, { tensor, start, count }: Rows, position: number): Promise<void> {
    const width = tensor.shape[1] ?? 0;
    const rows = await backend.download(tensor, start * width, count * width);
    const { queryHeads, headDim } = this.heads;
    for (let row = 0; row < count; row++) {
      if (position + row < LEFT_OUT) continue;
      this.#rows++;
      for (let head = 0; head < queryHeads; head++) {
        const from = row * width + head * headDim;
        for (let i = 0; i < headDim; i++) {
          const at = head * headDim + i;
          const value = rows[from + i] ?? 0;
          this.#sums[at] = (this.#sums[at] ?? 0) + value;
          for (let j = 0; j < headDim; j++) {
            const cell = at * headDim + j;
            this.#products[cell] = (this.#products[cell] ?? 0) + value * (rows[from + j] ?? 0);
          }
        }
      }
    }
  }

  /** What the group of a KV head asked for. */
  moments(kvHead: number, rotary: Rotary): QueryMoments {
    const { queryHeads, kvHeads, headDim } = this.heads;
    const heads = queryHeads / kvHeads;
    const rows = Math.max(1, this.#rows);
    const first = kvHead * heads * headDim;
    const mean = this.#sums.slice(first, first + heads * headDim).map((sum) => sum / rows);
    const covariance = new Float32Array(heads * headDim * headDim);
    covariance.forEach((_, cell) => {
      const at = Math.floor(cell / headDim);
      const other = Math.floor(at / headDim) * headDim + (cell % headDim);
      const product = (this.#products[first * headDim + cell] ?? 0) / rows;
      covariance[cell] = product - (mean[at] ?? 0) * (mean[other] ?? 0);
    });
    return {
      heads,
      headDim,
      scale: this.scale,
      mean: Float32Array.from(mean),
      covariance,
      rotation: (position) => rotationOf([position], rotary),
    };
  }
}
