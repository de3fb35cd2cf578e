/** How far a number may lie from the reference: |found - expected| <= atol + rtol · |expected|. */
export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

/**
 * What is allowed against references in float64, by the type that weights and caches are stored in. Products here have
 * at most some hundred terms of size one, so that f32's 2^-24 a term leaves room for any order of summation.
 */
export const TOLERANCES = {
  f32: { rtol: 1e-5, atol: 1e-5 },
  f16: { rtol: 2e-3, atol: 2e-3 },
  bf16: { rtol: 2e-2, atol: 2e-2 },
  // Half of max|x|/127, where elements of size one are turned by pairs: none is greater than the root of two.
  q8: { rtol: 1e-5, atol: Math.SQRT2 / 254 + 1e-5 },
  // The same of max|x|/7.
  q4: { rtol: 1e-5, atol: Math.SQRT2 / 14 + 1e-5 },
} as const satisfies Record<string, Tolerance>;
