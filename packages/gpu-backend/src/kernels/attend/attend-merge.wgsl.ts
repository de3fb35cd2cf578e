import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { lanesOf } from "../../wgsl/lanes";
import { LOWEST } from "../../wgsl/lowest";

/** Threads that put one row of one query head together. */
const MERGE_THREADS = 64;

export interface AttendMergeVariant {
  readonly headDim: number;
  /** Whether slabs were split over the keys; else they were attended in tiles of rows. */
  readonly split: boolean;
}

export const MERGE_PARAMS = paramBlock({
  query_heads: "u32",
  kv_heads: "u32",
  rows: "u32",
  out_row: "u32",
  slab_passes: "u32",
  slab_records: "u32",
  scratch_records: "u32",
  scratch_passes: "u32",
});

/**
 * Puts the records of one row and query head together: out = Σ oᵢ·exp(mᵢ − m) / Σ sᵢ·exp(mᵢ − m), and the row's
 * log-sum-exp m + log Σ, which what is recorded of the weights is computed from. A row without a key gives zeros. Its
 * data, where slabs were split: that of the split.
 */
export const attendMergeKernel = kernelVariants((variant: AttendMergeVariant) => {
  const type = `array<${lanesOf(variant.headDim).type}>`;
  return defineKernel({
    label: "attend.merge",
    params: MERGE_PARAMS,
    storage: {
      outputs: { access: "read", type },
      stats: { access: "read", type: "array<vec2f>" },
      out: { access: "write", type },
      log_sums: { access: "write", type: "array<f32>" },
    },
    ...(variant.split ? { data: "array<u32>" } : {}),
    code: attendMergeWgsl(variant),
  });
});

function attendMergeWgsl({ headDim, split }: AttendMergeVariant): string {
  const { type, units } = lanesOf(headDim);
  return `
alias V = ${type};
const UNITS = ${units}u;
const THREADS = ${MERGE_THREADS}u;

var<workgroup> reduced: array<f32, THREADS>;

${split ? "fn first_tile(head: u32) -> u32 { return data[head]; }" : ""}

/// Number of the i-th record of a row and query head.
fn record_of(i: u32, row: u32, query_head: u32) -> u32 {
  let own = row * params.query_heads + query_head;
  ${
    split
      ? `let per_group = params.query_heads / params.kv_heads;
  let head = query_head / per_group;
  let tiles = first_tile(head + 1u) - first_tile(head);
  let vectors = params.rows * per_group;
  if (i < params.slab_passes * tiles) {
    let tile = first_tile(head) + i % tiles;
    return i / tiles * params.slab_records + tile * vectors + row * per_group + query_head % per_group;
  }
  return params.scratch_records + (i - params.slab_passes * tiles) * params.rows * params.query_heads + own;`
      : `if (i < params.slab_passes) { return i * params.slab_records + own; }
  return params.scratch_records + (i - params.slab_passes) * params.rows * params.query_heads + own;`
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let query_head = group.x;
  let row = group.y;
  ${
    split
      ? `let head = query_head / (params.query_heads / params.kv_heads);
  let count = params.slab_passes * (first_tile(head + 1u) - first_tile(head)) + params.scratch_passes;`
      : `let count = params.slab_passes + params.scratch_passes;`
  }
  var own = ${LOWEST};
  for (var i = thread; i < count; i += THREADS) { own = max(own, stats[record_of(i, row, query_head)].x); }
  reduced[thread] = own;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { reduced[thread] = max(reduced[thread], reduced[thread + half]); }
  }
  workgroupBarrier();
  let greatest = reduced[0];
  workgroupBarrier();
  var part = 0.0;
  for (var i = thread; i < count; i += THREADS) {
    let record = stats[record_of(i, row, query_head)];
    part += record.y * exp(record.x - greatest);
  }
  reduced[thread] = part;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { reduced[thread] += reduced[thread + half]; }
  }
  workgroupBarrier();
  let sum = reduced[0];
  let scale = select(1.0 / sum, 0.0, sum == 0.0);
  for (var unit = thread; unit < UNITS; unit += THREADS) {
    var total = V();
    for (var i = 0u; i < count; i++) {
      let record = record_of(i, row, query_head);
      total += outputs[record * UNITS + unit] * exp(stats[record].x - greatest);
    }
    out[((params.out_row + row) * params.query_heads + query_head) * UNITS + unit] = total * scale;
  }
  if (thread == 0u) { log_sums[row * params.query_heads + query_head] = greatest + log(sum); }
}
`;
}
