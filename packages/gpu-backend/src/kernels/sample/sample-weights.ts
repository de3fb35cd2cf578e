/** Buckets of a histogram: of the weights, and of the digits of a key. */
export const BUCKETS = 256;

/**
 * Weights exp((logit - greatest) / temperature), as integers of 64 bits in units of 2^-40: their sums are exact, and the
 * same in whichever order they are added up. The shader's `Params` have `inverse_temperature`, and it has `is_finite`.
 */
export const WEIGHTS = `
/// How far a logit is below the greatest, in temperatures; it grows with the key.
fn depth_of(bits: u32, greatest: u32) -> f32 {
  if (!is_finite(bits)) { return 1e30; }
  return min((bitcast<f32>(greatest) - bitcast<f32>(bits)) * params.inverse_temperature, 1e30);
}

/// Buckets of an eighth, so that those of tokens likely enough to matter hold few others.
fn bucket_of(depth: f32) -> u32 { return u32(min(depth * 8.0, ${BUCKETS - 1}.0)); }

/// Low and high word of a weight.
fn mass_of(depth: f32) -> vec2u {
  let scaled = exp(-min(depth, 80.0)) * 256.0;
  let whole = floor(scaled);
  return vec2u(u32((scaled - whole) * 4294967296.0), u32(whole));
}

fn add(a: vec2u, b: vec2u) -> vec2u {
  let low = a.x + b.x;
  return vec2u(low, a.y + b.y + u32(low < a.x));
}

fn subtract(a: vec2u, b: vec2u) -> vec2u {
  return vec2u(a.x - b.x, a.y - b.y - u32(a.x < b.x));
}

fn less(a: vec2u, b: vec2u) -> bool { return a.y < b.y || (a.y == b.y && a.x < b.x); }

/// The product of two words: its low and its high word.
fn product(a: u32, b: u32) -> vec2u {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return vec2u(a * b, (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u));
}

fn times(mass: vec2u, factor: u32) -> vec2u {
  let low = product(mass.x, factor);
  return vec2u(low.x, low.y + mass.y * factor);
}
`;
