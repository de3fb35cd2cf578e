import { defineKernel } from "../../dispatch/kernel";
import { sampleLogitsWgsl } from "./sample-logits";
import { SURVEYS_MERGED, TOKEN_GIVEN } from "./sample-merge";
import { SAMPLE_PARAMS } from "./sample-params";
import { MOST_SURVEYS } from "./survey";

/** Gives the token of the greatest logit. */
export const SAMPLE_GREEDY = defineKernel({
  label: "sample.greedy",
  params: SAMPLE_PARAMS,
  storage: {
    logits: { access: "read", type: "array<u32>" },
    surveys: { access: "read", type: "array<Survey>" },
    token: { access: "write", type: "array<u32>" },
    log_probability: { access: "write", type: "array<u32>" },
  },
  code: `${sampleLogitsWgsl({ penalised: false })}
${SURVEYS_MERGED}
${TOKEN_GIVEN}
@compute @workgroup_size(${MOST_SURVEYS})
fn main(@builtin(local_invocation_index) thread: u32) {
  let all = merge_surveys(thread);
  if (thread == 0u) { give(select(all.id, 0xffffffffu, all.nan != 0u), all); }
}
`,
});
