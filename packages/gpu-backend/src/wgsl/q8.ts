/** Threads that quantise a row together. */
export const Q8_LANES = 8;

/** Threads of a workgroup that quantises rows. */
export const Q8_THREADS = 64;

/** Rows that a workgroup quantises side by side. */
export const Q8_ROWS = Q8_THREADS / Q8_LANES;

/** An expression: the four signed bytes of a word, as vec4f. */
export function unpackedQ8(word: string): string {
  return `vec4f(vec4i(vec4u(${word}) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u))`;
}

/**
 * Rows of a cache in q8, as `quantiseRows` of core-tensor makes them, in workgroups of `Q8_THREADS`. Magnitudes are
 * compared as words: so one that is not a number is the greatest of all.
 */
export const Q8_ROWS_WGSL = `
const LANES = ${Q8_LANES}u;
const ROWS = ${Q8_ROWS}u;

var<workgroup> magnitudes: array<u32, ${Q8_THREADS}>;

fn magnitude(values: vec4f) -> u32 {
  let words = bitcast<vec4u>(values) & vec4u(0x7fffffffu);
  return max(max(words.x, words.y), max(words.z, words.w));
}

/// The bits of a row's scale, from the greatest magnitude that each of its threads found. In uniform control flow only.
fn row_scale(greatest: u32, thread: u32) -> u32 {
  workgroupBarrier();
  magnitudes[thread] = greatest;
  workgroupBarrier();
  var most = 0u;
  for (var i = 0u; i < LANES; i++) { most = max(most, magnitudes[thread - thread % LANES + i]); }
  if (most >= 0x7f800000u) { return most; }
  let scale = (bitcast<u32>(bitcast<f32>(most) * ${Math.fround(1 / 127)}f) + 64u) & 0xffffff80u;
  return select(scale, 0u, scale < 0x00800000u);
}

fn row_inverse(scale: u32) -> f32 {
  return select(1.0 / bitcast<f32>(scale), 0.0, scale == 0u);
}

fn row_word(values: vec4f, inverse: f32) -> u32 {
  let bytes = bitcast<vec4u>(vec4i(round(values * inverse))) & vec4u(0xffu);
  return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}
`;
