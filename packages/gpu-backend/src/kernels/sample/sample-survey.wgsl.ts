import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { HISTOGRAM_WORDS } from "./histogram";
import { sampleLogitsWgsl } from "./sample-logits";
import { SAMPLE_PARAMS } from "./sample-params";
import { SURVEY, SURVEY_THREADS } from "./survey";

export interface SampleSurveyVariant {
  /** Whether tokens seen are penalised. */
  readonly penalised: boolean;
  /** Whether a token is drawn; else the greatest is taken. */
  readonly drawn: boolean;
}

/** Surveys the logits, each workgroup a share of them. */
export const sampleSurveyKernel = kernelVariants((variant: SampleSurveyVariant) =>
  defineKernel({
    label: "sample.survey",
    params: SAMPLE_PARAMS,
    storage: {
      logits: { access: "read", type: "array<u32>" },
      surveys: { access: "write", type: "array<Survey>" },
      ...(variant.drawn ? ({ histogram: { access: "write", type: "array<u32>" } } as const) : {}),
    },
    ...(variant.penalised ? { data: "array<u32>" } : {}),
    code: sampleSurveyWgsl(variant),
  }),
);

function sampleSurveyWgsl({ penalised, drawn }: SampleSurveyVariant): string {
  return `
const THREADS = ${SURVEY_THREADS}u;

${SURVEY}
${sampleLogitsWgsl({ penalised })}
var<workgroup> keys: array<u32, THREADS>;
var<workgroup> ids: array<u32, THREADS>;
var<workgroup> tops: array<u32, THREADS>;
var<workgroup> nans: array<u32, THREADS>;
var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
${
  drawn
    ? `  // The next dispatch counts there.
  if (group.x == 0u) { for (var i = thread; i < ${HISTOGRAM_WORDS}u; i += THREADS) { histogram[i] = 0u; } }`
    : ""
}
  let start = group.x * THREADS + thread;
  let step = params.surveys * THREADS;
  var key = 0xffffffffu;
  var id = 0u;
  var top = 0xffffffffu;
  var nan = 0u;
  for (var i = start; i < params.count; i += step) {
    let bits = logits[params.first + i];
    nan |= u32(is_nan(bits));
    top = min(top, key_of(bits));
    let own = key_of(penalised(i, bits));
    // The lower token where two are equal: they come in order.
    if (own < key) {
      key = own;
      id = i;
    }
  }
  keys[thread] = key;
  ids[thread] = id;
  tops[thread] = top;
  nans[thread] = nan;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      let other = thread + half;
      if (keys[other] < keys[thread] || (keys[other] == keys[thread] && ids[other] < ids[thread])) {
        keys[thread] = keys[other];
        ids[thread] = ids[other];
      }
      tops[thread] = min(tops[thread], tops[other]);
      nans[thread] |= nans[other];
    }
  }
  workgroupBarrier();
  let greatest = bits_of(tops[0]);
  var sum = 0.0;
  if (is_finite(greatest)) {
    for (var i = start; i < params.count; i += step) {
      let bits = logits[params.first + i];
      if (is_finite(bits)) { sum += exp(bitcast<f32>(bits) - bitcast<f32>(greatest)); }
    }
  }
  sums[thread] = sum;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { sums[thread] += sums[thread + half]; }
  }
  if (thread == 0u) { surveys[group.x] = Survey(keys[0], ids[0], tops[0], sums[0], nans[0]); }
}
`;
}
