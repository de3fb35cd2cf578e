/** How a model stretches its rotary embedding beyond the context it was trained on. */
export type RopeScaling =
  | { readonly kind: "none" }
  /** Positions are pressed together: every frequency is slowed by `factor` (arXiv 2306.15595). */
  | { readonly kind: "linear"; readonly factor: number }
  /** The base grows with the context beyond the original one (NTK-aware; arXiv 2309.00071, section 3.3). */
  | { readonly kind: "dynamic"; readonly factor: number; readonly originalContext: number }
  /** Llama 3.1's: low frequencies are slowed by `factor`, high ones kept, those between blended. */
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    }
  /** YaRN: frequencies that turn seldom are slowed by `factor`, those that turn often kept (arXiv 2309.00071, section 3.2). */
  | {
      readonly kind: "yarn";
      readonly factor: number;
      readonly originalContext: number;
      /** Turns over the original context above which, and below which. */
      readonly betaFast: number;
      readonly betaSlow: number;
      /** What queries and keys are multiplied by (section 3.4). */
      readonly magnitude: number;
    }
  /** LongRoPE: each frequency is slowed by a factor of its own, other ones beyond the original context (arXiv 2402.13753). */
  | {
      readonly kind: "longrope";
      readonly short: readonly number[];
      readonly long: readonly number[];
      readonly originalContext: number;
      readonly magnitude: number;
    }
  /** Each frequency is slowed by a factor of its own. */
  | { readonly kind: "factors"; readonly factors: readonly number[] };

/** How queries and keys are rotated. */
export interface Rotary {
  /** The angle per position of each pair, in radians: headDim / 2 of them, the fastest first. */
  readonly frequencies: Float64Array;
  /** What they are multiplied by besides. */
  readonly magnitude: number;
}

/** Of layers that are not rotated at all. */
export function unrotated(headDim: number): Rotary {
  return { frequencies: new Float64Array(headDim / 2), magnitude: 1 };
}

/**
 * The rotary embedding of a model (RoFormer, arXiv 2104.09864, section 3.2.2), in float64.
 *
 * @param context the longest sequence that is ever read. Scalings that depend on a length depend on this one: so keys are
 * rotated once, by the same angles however long their sequence comes to be.
 */
export function rotaryOf(headDim: number, theta: number, scaling: RopeScaling, context: number): Rotary {
  const plain = (base: number): Float64Array =>
    Float64Array.from({ length: headDim / 2 }, (_, i) => base ** ((-2 * i) / headDim));
  const frequencies = plain(theta);
  switch (scaling.kind) {
    case "none":
      return { frequencies, magnitude: 1 };
    case "linear":
      return { frequencies: frequencies.map((frequency) => frequency / scaling.factor), magnitude: 1 };
    case "factors":
      return { frequencies: slowed(frequencies, scaling.factors), magnitude: 1 };
    case "dynamic": {
      const { factor, originalContext } = scaling;
      const stretch = (factor * Math.max(context, originalContext)) / originalContext - (factor - 1);
      return { frequencies: plain(theta * stretch ** (headDim / (headDim - 2))), magnitude: 1 };
    }
    case "longrope": {
      const { short, long, originalContext, magnitude } = scaling;
      return { frequencies: slowed(frequencies, context > originalContext ? long : short), magnitude };
    }
    case "yarn": {
      const { factor, originalContext, betaFast, betaSlow, magnitude } = scaling;
      // The pair that turns so often over the original context.
      const pairOf = (turns: number): number =>
        (headDim * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
      const low = Math.max(0, Math.floor(pairOf(betaFast)));
      const high = Math.min(headDim - 1, Math.ceil(pairOf(betaSlow)));
      const blended = frequencies.map((frequency, i) => {
        const slow = Math.min(1, Math.max(0, (i - low) / Math.max(0.001, high - low)));
        return slow * (frequency / factor) + (1 - slow) * frequency;
      });
      return { frequencies: blended, magnitude };
    }
    case "llama3": {
      const { factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = scaling;
      const blended = frequencies.map((frequency) => {
        const turns = (originalContext * frequency) / (2 * Math.PI);
        if (turns < lowFrequencyFactor) return frequency / factor;
        if (turns > highFrequencyFactor) return frequency;
        const blend = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
        return (1 - blend) * (frequency / factor) + blend * frequency;
      });
      return { frequencies: blended, magnitude: 1 };
    }
  }
}

function slowed(frequencies: Float64Array, factors: readonly number[]): Float64Array {
  return frequencies.map((frequency, i) => frequency / (factors[i] ?? 1));
}

/**
 * What `Backend.append` rotates by: for each row the cosines of its angles, then the sines. The angles are
 * taken in float64, since in f32 a position of 100,000 has lost three digits of its angle.
 *
 * @returns f32 [positions, 2 · frequencies]
 */
export function rotationOf(positions: ArrayLike<number>, { frequencies, magnitude }: Rotary): Float32Array {
  const half = frequencies.length;
  const rotation = new Float32Array(positions.length * half * 2);
  for (let row = 0; row < positions.length; row++) {
    const position = positions[row] ?? 0;
    for (let i = 0; i < half; i++) {
      const angle = position * (frequencies[i] ?? 0);
      rotation[row * half * 2 + i] = magnitude * Math.cos(angle);
      rotation[row * half * 2 + half + i] = magnitude * Math.sin(angle);
    }
  }
  return rotation;
}
