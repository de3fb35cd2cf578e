import type { KvScratch } from "@winnow/core-tensor";
import type { QueryMoments } from "@winnow/kv-policies";

import { copyHead } from "./head-copy";
import type { Sequence } from "./sequence";

const NAMES = ["keys", "values", "queries"] as const;

/** What a plug-in may read of a head besides columns. */
export type VectorName = (typeof NAMES)[number];

export function isVector(name: string): name is VectorName {
  return NAMES.some((known) => known === name);
}

/** Keys and values of a head on the host, in the order of its slots, and what asked for them. */
export interface HeadVectors {
  /** f32 [slots, headDim] */
  readonly keys: Float32Array;
  /** f32 [slots, headDim] */
  readonly values: Float32Array;
  /** Null where they were not watched. */
  readonly queries: QueryMoments | null;
}

/**
 * The vectors of a layer's heads: those of kept slots from their pages, then those of the scratch's first rows.
 *
 * @param scratch null where everything is in pages.
 */
export async function downloadVectors(
  sequence: Sequence,
  l: number,
  scratch: KvScratch | null,
  rowCount: number,
): Promise<Omit<HeadVectors, "queries">[]> {
  const { backend, store } = sequence.engine;
  const { headDim } = store.layout.heads;
  const layer = sequence.layers[l];
  const found: Omit<HeadVectors, "queries">[] = [];
  for (const [head, length] of (layer?.lengths ?? []).entries()) {
    const kept =
      layer === undefined || length === 0
        ? { keys: new Float32Array(0), values: new Float32Array(0) }
        : await copyHead(backend, layer, head, store.layout);
    const fresh = async (tensor: KvScratch["k"] | undefined): Promise<Float32Array> => {
      if (tensor === undefined) return new Float32Array(0);
      const start = head * (tensor.shape[1] ?? 0) * headDim;
      return Float32Array.from(await backend.download(tensor, start, rowCount * headDim));
    };
    found.push({
      keys: joined(kept.keys, await fresh(scratch?.k)),
      values: joined(kept.values, await fresh(scratch?.v)),
    });
  }
  return found;
}

function joined(a: Float32Array, b: Float32Array): Float32Array {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
