/**
 * `rounded_to_half(values)`: f32s with the bits that a half has, to which f16() makes no difference but below 2^-14, where
 * halves have fewer. What is left of a value is then its difference from that, of which f16() keeps the first bits.
 *
 * It counts bits, as a compiler may take f32(f16(x)) for x, and Mesa's does: WGSL leaves open how a conversion rounds.
 */
export const ROUNDED_TO_HALF = `
fn rounded_to_half(values: vec4f) -> vec4f {
  return bitcast<vec4f>((bitcast<vec4u>(values) + vec4u(0x1000u)) & vec4u(0xffffe000u));
}
`;
