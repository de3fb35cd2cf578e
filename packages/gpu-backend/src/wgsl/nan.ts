/**
 * What a shader needs where a value may be no number. A compiler may take it for granted that there is none, so it is
 * told by its bits and never by comparing it with itself.
 */
export const NAN = `
fn is_nan(value: f32) -> bool { return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u; }

/// As Math.max and Math.min: what is no number comes through.
fn greatest(a: f32, b: f32) -> f32 {
  if (is_nan(a)) { return a; }
  if (is_nan(b)) { return b; }
  return max(a, b);
}

fn least(a: f32, b: f32) -> f32 {
  if (is_nan(a)) { return a; }
  if (is_nan(b)) { return b; }
  return min(a, b);
}
`;
