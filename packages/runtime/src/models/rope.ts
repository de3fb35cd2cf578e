/** How a model stretches its rotary embedding beyond the context it was trained on. */
export type RopeScaling =
  | { readonly kind: "none" }
  /** Positions are pressed together: every frequency is slowed by `factor` (arXiv 2306.15595). */
  | { readonly kind: "linear"; readonly factor: number }
  /** Llama 3.1's: low frequencies are slowed by `factor`, high ones kept, those between blended. */
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    }
  /** Each frequency is slowed by a factor of its own. */
  | { readonly kind: "factors"; readonly factors: readonly number[] };

/**
 * The angle per position of each rotated pair, in radians, in float64 (RoFormer, arXiv 2104.09864, section 3.2.2).
 *
 * @returns headDim / 2 frequencies, the fastest first.
 */
export function ropeFrequencies(headDim: number, theta: number, scaling: RopeScaling): Float64Array {
  const frequencies = Float64Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
  if (scaling.kind === "none") return frequencies;
  if (scaling.kind === "linear") return frequencies.map((frequency) => frequency / scaling.factor);
  if (scaling.kind === "factors") return frequencies.map((frequency, i) => frequency / (scaling.factors[i] ?? 1));
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = scaling;
  return frequencies.map((frequency) => {
    const turns = (originalContext * frequency) / (2 * Math.PI);
    if (turns < lowFrequencyFactor) return frequency / factor;
    if (turns > highFrequencyFactor) return frequency;
    const blend = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return (1 - blend) * (frequency / factor) + blend * frequency;
  });
}

/**
 * What `Backend.append` rotates by: for each row the cosines of its angles, then the sines. The angles are
 * taken in float64, since in f32 a position of 100,000 has lost three digits of its angle.
 *
 * @returns f32 [positions, 2 · frequencies]
 */
export function rotationOf(positions: ArrayLike<number>, frequencies: Float64Array): Float32Array {
  const half = frequencies.length;
  const rotation = new Float32Array(positions.length * half * 2);
  for (let row = 0; row < positions.length; row++) {
    const position = positions[row] ?? 0;
    for (let i = 0; i < half; i++) {
      const angle = position * (frequencies[i] ?? 0);
      rotation[row * half * 2 + i] = Math.cos(angle);
      rotation[row * half * 2 + half + i] = Math.sin(angle);
    }
  }
  return rotation;
}
