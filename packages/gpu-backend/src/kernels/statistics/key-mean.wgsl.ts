import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { KEY_PARAMS_FIELDS, keyPlacesWgsl, keyReader, keyStorage, type KeyVariant } from "./key-places.wgsl";
import { SLOT_THREADS } from "./slot-facts.wgsl";

/** Rows of a scratch that are added up together; of kept slots it is a page's. */
export const SCRATCH_CHUNK = 64;

export const KEY_PART_PARAMS = paramBlock({
  ...KEY_PARAMS_FIELDS,
  /** Slots of a chunk. */
  chunk: "u32",
  /** The source's first chunk, and the chunks of a head. */
  first_chunk: "u32",
  chunks: "u32",
});

/**
 * The share of each chunk of a source in its head's mean key, an element a thread. A page is a chunk, so that the sums do not
 * depend on which slab it lies in.
 */
export const keyPartsKernel = kernelVariants((variant: KeyVariant) =>
  defineKernel({
    label: "statistics.keyParts",
    params: KEY_PART_PARAMS,
    storage: {
      ...keyStorage(variant, false),
      counts: { access: "read", type: "array<u32>" },
      parts: { access: "write", type: "array<f32>" },
    },
    code: `
${keyPlacesWgsl(variant, false)}

@compute @workgroup_size(${SLOT_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let element = id.x;
  let head = id.y;
  if (element >= params.head_dim || !find(id.z * params.chunk, head).here) { return; }
  let count = counts[params.first_row + head];
  var sum = 0.0;
  for (var i = id.z * params.chunk; i < (id.z + 1u) * params.chunk; i++) {
    let found = find(i, head);
    if (found.here) { sum += ${keyReader(variant, false).read("found.at", "element")} / f32(count); }
  }
  parts[(head * params.chunks + params.first_chunk + id.z) * params.head_dim + element] = sum;
}`,
  }),
);

export const KEY_MEAN_PARAMS = paramBlock({
  head_dim: "u32",
  table_capacity: "u32",
  page_slots: "u32",
  /** Rows of the scratch, and where their chunks begin. */
  fresh: "u32",
  fresh_chunk: "u32",
  chunks: "u32",
});

export interface KeyMeanVariant {
  /** Whether there are kept slots. */
  readonly paged: boolean;
}

/** Each head's mean key from the shares of its chunks, in the order of its slots: an element a thread. */
export const keyMeanKernel = kernelVariants(({ paged }: KeyMeanVariant) =>
  defineKernel({
    label: "statistics.keyMean",
    params: KEY_MEAN_PARAMS,
    storage: {
      ...(paged ? ({ lengths: { access: "read", type: "array<u32>" } } as const) : {}),
      parts: { access: "read", type: "array<f32>" },
      means: { access: "write", type: "array<f32>" },
    },
    code: `
@compute @workgroup_size(${SLOT_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let element = id.x;
  let head = id.y;
  if (element >= params.head_dim) { return; }
  let kept = ${paged ? "min(lengths[head], params.table_capacity)" : "0u"};
  let fresh = min(params.fresh, params.table_capacity - kept);
  var sum = 0.0;
  for (var chunk = 0u; chunk * params.page_slots < kept; chunk++) { sum += part(head, chunk, element); }
  for (var chunk = 0u; chunk * ${SCRATCH_CHUNK}u < fresh; chunk++) {
    sum += part(head, params.fresh_chunk + chunk, element);
  }
  means[head * params.head_dim + element] = sum;
}

fn part(head: u32, chunk: u32, element: u32) -> f32 {
  return parts[(head * params.chunks + chunk) * params.head_dim + element];
}`,
  }),
);
