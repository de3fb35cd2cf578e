/** How a head's elements are read: as few vectors as its size divides into. */
export interface Lanes {
  /** The WGSL type of one vector. */
  readonly type: "vec4f" | "vec2f";
  readonly width: 4 | 2;
  /** Vectors a head. */
  readonly units: number;
}

/** @param headDim even, as rotary embeddings have it. */
export function lanesOf(headDim: number): Lanes {
  return headDim % 4 === 0
    ? { type: "vec4f", width: 4, units: headDim / 4 }
    : { type: "vec2f", width: 2, units: headDim / 2 };
}
