import { randomUnit, type SampleSpec } from "@winnow/core-tensor";

import type { GpuCapabilities } from "../../device/capabilities";
import { scratch, whole } from "../../dispatch/binding";
import type { Plan } from "../../dispatch/dispatch";
import { rowOperand, tensorOperand } from "../../dispatch/operands";
import { HISTOGRAM_WORDS } from "./histogram";
import { sampleDrawKernel } from "./sample-draw.wgsl";
import { SAMPLE_GREEDY } from "./sample-greedy.wgsl";
import { SAMPLE_PARAMS } from "./sample-params";
import { sampleSurveyKernel } from "./sample-survey.wgsl";
import { sampleWeighKernel } from "./sample-weigh.wgsl";
import { MOST_SURVEYS, SURVEY_BYTES, SURVEY_THREADS } from "./survey";

/** Logits that a thread looks at before there are more workgroups. */
const LOGITS_PER_THREAD = 4;
/** A temperature so low that its inverse is no f32 is as good as this one. */
const GREATEST_INVERSE = 1e38;

/** Draw one token from a row of logits: a survey of all of them, then the greatest, or weights and a draw. */
export function planSample(spec: SampleSpec, { limits }: GpuCapabilities): Plan {
  const { params, seen } = spec;
  const row = rowOperand("logits", spec.logits, ["f32"]);
  const logits = whole(row.tensor);
  const token = whole(tensorOperand("token", spec.token, ["u32"]));
  const logProbability = whole(tensorOperand("log-probability", spec.logProbability, ["f32"]));
  const count = row.elements;
  const surveyCount = Math.max(1, Math.min(MOST_SURVEYS, Math.ceil(count / (SURVEY_THREADS * LOGITS_PER_THREAD))));
  const surveys = scratch("sample.surveys", surveyCount * SURVEY_BYTES);
  const penalised = params.repetitionPenalty !== 1 && seen.length > 0;
  const mask = penalised ? { data: maskOf(seen, count) } : {};
  const packed = SAMPLE_PARAMS.pack({
    first: row.first,
    count,
    surveys: surveyCount,
    penalty: params.repetitionPenalty,
    inverse_temperature: Math.min(1 / params.temperature, GREATEST_INVERSE),
    top_k: params.topK,
    top_p: shareOf(params.topP),
    random: randomUnit(params.seed, spec.choice, spec.position) * 2 ** 32,
    min_p: params.minP,
  });
  if (params.temperature === 0) {
    return [
      {
        kernel: sampleSurveyKernel({ penalised, drawn: false }),
        params: packed,
        bindings: { logits, surveys },
        ...mask,
        grid: [surveyCount, 1, 1],
      },
      {
        kernel: SAMPLE_GREEDY,
        params: packed,
        bindings: { logits, surveys, token, log_probability: logProbability },
        grid: [1, 1, 1],
      },
    ];
  }
  const histogram = scratch("sample.histogram", HISTOGRAM_WORDS * 4);
  return [
    {
      kernel: sampleSurveyKernel({ penalised, drawn: true }),
      params: packed,
      bindings: { logits, surveys, histogram },
      ...mask,
      grid: [surveyCount, 1, 1],
    },
    {
      kernel: sampleWeighKernel({ penalised }),
      params: packed,
      bindings: { logits, surveys, histogram },
      ...mask,
      grid: [surveyCount, 1, 1],
    },
    {
      kernel: sampleDrawKernel({ penalised, threads: drawThreads(limits.maxComputeInvocationsPerWorkgroup) }),
      params: packed,
      bindings: {
        logits,
        surveys,
        histogram,
        listed: scratch("sample.listed", count * 8),
        token,
        log_probability: logProbability,
      },
      ...mask,
      grid: [1, 1, 1],
    },
  ];
}

/** One bit a token. */
function maskOf(seen: Uint32Array, count: number): Uint32Array {
  const mask = new Uint32Array(Math.ceil(count / 32));
  for (const id of seen) {
    // A token outside the vocabulary has no logit.
    if (id < count) mask[id >>> 5] = (mask[id >>> 5] ?? 0) | (1 << (id & 31));
  }
  return mask;
}

/** A share in (0, 1] in units of 2^-32; 0 is the whole. */
function shareOf(topP: number): number {
  return topP >= 1 ? 0 : Math.max(1, Math.min(2 ** 32 - 1, Math.round(topP * 2 ** 32)));
}

/** One workgroup walks over all logits: as many threads as there may be. */
function drawThreads(most: number): number {
  return 2 ** Math.floor(Math.log2(Math.min(1024, most)));
}
