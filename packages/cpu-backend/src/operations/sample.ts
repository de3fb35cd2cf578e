import { NOT_A_TOKEN, type SampleSpec } from "@winnow/core-tensor";
import { OPERATIONS, f32Of, f32Rows, u32Of, type Poll } from "@winnow/core-tensor/cpu";

import type { Machine } from "../machine";

/** Draw one token from a row of logits: the greatest here, any other as the reference does. */
export function sampleOf({ kernels, memory }: Machine): (spec: SampleSpec, poll: Poll) => void {
  return (spec, poll) => {
    const { temperature, repetitionPenalty } = spec.params;
    const logits = f32Rows("sample", "logits", spec.logits);
    if (temperature !== 0 || repetitionPenalty !== 1) {
      OPERATIONS.sample(spec, poll);
      return;
    }
    const at = memory.addressOf(logits);
    const best = kernels.greatest_logit(at, logits.length);
    const token = best === logits.length ? NOT_A_TOKEN : best;
    u32Of(spec.token)[0] = token;
    // At temperature 0 the token's own logit is the greatest of all.
    const top = logits[best] ?? NaN;
    f32Of(spec.logProbability)[0] = -Math.log(kernels.sum_of_exponentials(at, logits.length, top));
  };
}
