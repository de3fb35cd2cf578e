import { paramBlock } from "../../dispatch/params";

/** Of all sampling kernels; shares are of 2^32. */
export const SAMPLE_PARAMS = paramBlock({
  // Where the row begins, its logits, and workgroups that survey them.
  first: "u32",
  count: "u32",
  surveys: "u32",
  penalty: "f32",
  inverse_temperature: "f32",
  // 0 for no limit.
  top_k: "u32",
  // 0 for the whole.
  top_p: "u32",
  random: "u32",
  min_p: "f32",
});
