import { WinnowError, type DeviceTensor } from "@winnow/core-tensor";

import type { ModelConfig } from "../files/config";
import { rotaryOf, unrotated, type Rotary } from "./rope";

/** The rotary embeddings of a model, and which of them each layer has. */
export interface Rotaries {
  readonly all: readonly Rotary[];
  /** By layer, places in `all`. */
  readonly ofLayer: readonly number[];
}

/** @param context the longest sequence that is ever read. */
export function rotariesOf(
  { headDim, ropeTheta, ropeScaling, windowTheta, sights }: ModelConfig,
  context: number,
): Rotaries {
  const make = {
    global: () => rotaryOf(headDim, ropeTheta, ropeScaling, context),
    window: () => rotaryOf(headDim, windowTheta ?? ropeTheta, { kind: "none" }, context),
    none: () => unrotated(headDim),
  };
  const kinds = [...new Set(sights.map(({ rotation }) => rotation))];
  return { all: kinds.map((kind) => make[kind]()), ofLayer: sights.map(({ rotation }) => kinds.indexOf(rotation)) };
}

/** Of the rotations by each of a model's rotaries, the one that a layer has. */
export function rotationOfLayer(
  { rotaries }: { readonly rotaries: Rotaries },
  rotations: readonly DeviceTensor[],
  layer: number,
): DeviceTensor {
  const rotation = rotations[rotaries.ofLayer[layer] ?? 0];
  if (rotation === undefined) throw new WinnowError("model", `layer ${layer} has no rotation`);
  return rotation;
}
