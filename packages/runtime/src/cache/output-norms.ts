import { rows, tensor } from "@winnow/core-tensor";

import type { Engine } from "../engine";
import type { DecoderLayer } from "../models/decoder";
import { weighted } from "../models/linear";

/** Matrices up to so many elements are kept once they were asked for. */
const KEPT_ELEMENTS = 2 ** 22;

const kept = new WeakMap<DecoderLayer, Float32Array>();

/**
 * How much each value adds to the output: the L1 norm of W_O^h · v, a mean over the query heads of the group (CriticalKV,
 * arXiv 2502.03805, section 3).
 *
 * @param values f32 [slots, headDim] by KV head.
 * @returns one value a slot, by KV head.
 */
export async function outputNorms(engine: Engine, l: number, values: readonly Float32Array[]): Promise<Float32Array[]> {
  const { queryHeads, kvHeads, headDim } = engine.decoder.shape.heads;
  const { width } = engine.decoder.shape;
  const layer = engine.decoder.weights.layers[l];
  const projection = layer === undefined ? new Float32Array(0) : await projectionOf(engine, layer);
  const perGroup = queryHeads / kvHeads;
  const out = new Float64Array(width);
  return values.map((ofHead, kvHead) => {
    const norms = new Float32Array(ofHead.length / headDim);
    for (let slot = 0; slot < norms.length; slot++) {
      let total = 0;
      for (let g = 0; g < perGroup; g++) {
        out.fill(0);
        for (let d = 0; d < headDim; d++) {
          const value = ofHead[slot * headDim + d] ?? 0;
          const base = ((kvHead * perGroup + g) * headDim + d) * width;
          for (let i = 0; i < width; i++) out[i] = (out[i] ?? 0) + value * (projection[base + i] ?? 0);
        }
        total += out.reduce((sum, x) => sum + Math.abs(x), 0);
      }
      norms[slot] = total / perGroup;
    }
    return norms;
  });
}

/** f32 [queryHeads · headDim, width], whatever type the weights are stored in: what unit vectors become. */
async function projectionOf({ backend, decoder }: Engine, layer: DecoderLayer): Promise<Float32Array> {
  const known = kept.get(layer);
  if (known !== undefined) return known;
  const { heads, width } = decoder.shape;
  const inputs = heads.queryHeads * heads.headDim;
  const unit = new Float32Array(inputs * inputs);
  for (let i = 0; i < inputs; i++) unit[i * inputs + i] = 1;
  const options = { label: "output norms", category: "activations" } as const;
  using x = backend.upload(tensor("f32", [inputs, inputs], unit), options);
  using out = backend.allocate("f32", [inputs, width], options);
  const { weight } = weighted(layer.output);
  backend.matmul({ x: rows(x), weight, out: rows(out) });
  const projection = Float32Array.from(await backend.download(out));
  if (projection.length <= KEPT_ELEMENTS) kept.set(layer, projection);
  return projection;
}
