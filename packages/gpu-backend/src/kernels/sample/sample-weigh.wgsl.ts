import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { HISTOGRAM_WORDS } from "./histogram";
import { sampleLogitsWgsl } from "./sample-logits";
import { SURVEYS_MERGED } from "./sample-merge";
import { SAMPLE_PARAMS } from "./sample-params";
import { BUCKETS, WEIGHTS } from "./sample-weights";
import { SURVEY_THREADS } from "./survey";

export interface SampleWeighVariant {
  /** Whether tokens seen are penalised. */
  readonly penalised: boolean;
}

/** Counts the tokens and adds up their weights by how far they are below the greatest logit, over all workgroups. */
export const sampleWeighKernel = kernelVariants((variant: SampleWeighVariant) =>
  defineKernel({
    label: "sample.weigh",
    params: SAMPLE_PARAMS,
    storage: {
      logits: { access: "read", type: "array<u32>" },
      surveys: { access: "read", type: "array<Survey>" },
      histogram: { access: "write", type: "array<atomic<u32>>" },
    },
    ...(variant.penalised ? { data: "array<u32>" } : {}),
    code: sampleWeighWgsl(variant),
  }),
);

function sampleWeighWgsl({ penalised }: SampleWeighVariant): string {
  return `
const THREADS = ${SURVEY_THREADS}u;
const BUCKETS = ${BUCKETS}u;

${sampleLogitsWgsl({ penalised })}
${SURVEYS_MERGED}
${WEIGHTS}
var<workgroup> buckets: array<atomic<u32>, ${HISTOGRAM_WORDS}>;

fn count_mass(low: u32, high: u32, mass: vec2u) {
  let before = atomicAdd(&buckets[low], mass.x);
  atomicAdd(&buckets[high], mass.y + u32(before + mass.x < before));
}

fn publish_mass(low: u32, high: u32) {
  let mass = vec2u(atomicLoad(&buckets[low]), atomicLoad(&buckets[high]));
  let before = atomicAdd(&histogram[low], mass.x);
  atomicAdd(&histogram[high], mass.y + u32(before + mass.x < before));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let all = merge_surveys(thread);
  let greatest = bits_of(all.key);
  // Without a finite logit above all others nothing is drawn.
  if (all.nan != 0u || !is_finite(greatest)) { return; }
  for (var i = group.x * THREADS + thread; i < params.count; i += params.surveys * THREADS) {
    let depth = depth_of(penalised(i, logits[params.first + i]), greatest);
    let bucket = bucket_of(depth);
    atomicAdd(&buckets[bucket], 1u);
    let mass = mass_of(depth);
    count_mass(BUCKETS + bucket, 2u * BUCKETS + bucket, mass);
    if (exp(-min(depth, 80.0)) >= params.min_p) { count_mass(3u * BUCKETS, 3u * BUCKETS + 1u, mass); }
  }
  workgroupBarrier();
  for (var bucket = thread; bucket < BUCKETS; bucket += THREADS) {
    let count = atomicLoad(&buckets[bucket]);
    if (count == 0u) { continue; }
    atomicAdd(&histogram[bucket], count);
    publish_mass(BUCKETS + bucket, 2u * BUCKETS + bucket);
  }
  if (thread == 0u) { publish_mass(3u * BUCKETS, 3u * BUCKETS + 1u); }
}
`;
}
