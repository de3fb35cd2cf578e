import { definePolicy } from "../plugin";
import { top } from "../policy";

/**
 * Keys that point away from the mean key of their head are kept: nothing is asked of attention (KeyDiff, arXiv 2504.15364,
 * section 3).
 */
export const keydiff = definePolicy({
  name: "keydiff",
  source: "KeyDiff, arXiv 2504.15364, section 3",
  budget: 0.5,
  candidates: (x) => [top("-keyDiff", x)],
});
