import { MOST_SURVEYS, SURVEY } from "./survey";

/**
 * Puts the surveys together, in each workgroup that needs the whole. The shader binds `surveys`, has at least
 * `MOST_SURVEYS` threads, and its `Params` have `surveys`.
 */
export const SURVEYS_MERGED = `
${SURVEY}
var<workgroup> loaded: array<Survey, ${MOST_SURVEYS}>;
var<workgroup> merged: Survey;

fn merge_surveys(thread: u32) -> Survey {
  if (thread < params.surveys) { loaded[thread] = surveys[thread]; }
  workgroupBarrier();
  if (thread == 0u) {
    var all = loaded[0];
    for (var i = 1u; i < params.surveys; i++) {
      let other = loaded[i];
      if (other.key < all.key || (other.key == all.key && other.id < all.id)) {
        all.key = other.key;
        all.id = other.id;
      }
      all.top = min(all.top, other.top);
      all.nan |= other.nan;
    }
    all.sum = 0.0;
    let greatest = bits_of(all.top);
    if (is_finite(greatest)) {
      for (var i = 0u; i < params.surveys; i++) {
        let top = bits_of(loaded[i].top);
        // A share of infinities only adds nothing.
        if (is_finite(top)) { all.sum += loaded[i].sum * exp(bitcast<f32>(top) - bitcast<f32>(greatest)); }
      }
    }
    merged = all;
  }
  return workgroupUniformLoad(&merged);
}
`;

/**
 * Gives the token and its log-probability, from the logits as they came. The shader binds `token` and `log_probability`
 * as words.
 */
export const TOKEN_GIVEN = `
fn give(id: u32, all: Survey) {
  token[0] = id;
  let greatest = bits_of(all.top);
  // Beside an infinite logit there are no probabilities.
  var result = 0x7fc00000u;
  if (id != 0xffffffffu && is_finite(greatest)) {
    let bits = logits[params.first + id];
    result = NEGATIVE_INFINITY;
    if (is_finite(bits)) { result = bitcast<u32>(bitcast<f32>(bits) - bitcast<f32>(greatest) - log(all.sum)); }
  }
  log_probability[0] = result;
}
`;
