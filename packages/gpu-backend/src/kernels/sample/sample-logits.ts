/**
 * How the sampling kernels read logits: as bits, for devices may take what is not finite for anything. Where there is a
 * penalty, `data` has one bit a token seen; params have `penalty`.
 */
export function sampleLogitsWgsl({ penalised }: { readonly penalised: boolean }): string {
  return `
const NEGATIVE_INFINITY = 0xff800000u;

fn is_finite(bits: u32) -> bool { return (bits & 0x7f800000u) != 0x7f800000u; }
fn is_nan(bits: u32) -> bool { return (bits & 0x7fffffffu) > 0x7f800000u; }

/// Ascending keys are falling numbers. Both zeros are one number.
fn key_of(bits: u32) -> u32 {
  if ((bits & 0x7fffffffu) == 0u) { return 0x7fffffffu; }
  return select(0x7fffffffu - bits, bits, bits >= 0x80000000u);
}

fn bits_of(key: u32) -> u32 { return select(0x7fffffffu - key, key, key >= 0x80000000u); }

/// Bits of a token's logit after the penalty.
fn penalised(id: u32, bits: u32) -> u32 {
  ${
    penalised
      ? `if (((data[id / 32u] >> (id % 32u)) & 1u) == 0u || !is_finite(bits)) { return bits; }
  let logit = bitcast<f32>(bits);
  return bitcast<u32>(select(logit * params.penalty, logit / params.penalty, logit > 0.0));`
      : "return bits;"
  }
}
`;
}
