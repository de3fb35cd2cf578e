/** Threads of a workgroup, and the most workgroups: so many records are put together by one. */
export const SURVEY_THREADS = 256;
export const MOST_SURVEYS = 64;

/** Bytes of a `Survey`. */
export const SURVEY_BYTES = 20;

/** What a workgroup found among its logits. */
export const SURVEY = `
struct Survey {
  // Key of the greatest logit after the penalty, and its token.
  key: u32, id: u32,
  // Key of the greatest as it came, and the sum of exp(logit - greatest).
  top: u32, sum: f32,
  // 1 where one is not a number.
  nan: u32,
}
`;
