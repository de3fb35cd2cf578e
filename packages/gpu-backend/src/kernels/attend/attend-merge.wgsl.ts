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

/// Records of a row and query head lie at places: a tile's is one, and each of the scratch. A slab that has no key of a tile
/// has a record there that changes nothing, so what comes out does not depend on which slab has it.
fn tiles_of(query_head: u32) -> u32 {
  ${
    split
      ? `let head = query_head / (params.query_heads / params.kv_heads);
  return first_tile(head + 1u) - first_tile(head);`
      : "return 1u;"
  }
}

/// Records of a place.
fn records_at(place: u32, tiles: u32) -> u32 { return select(1u, params.slab_passes, place < tiles); }

fn record_of(place: u32, tiles: u32, i: u32, row: u32, query_head: u32) -> u32 {
  if (place >= tiles) {
    return params.scratch_records + (place - tiles) * params.rows * params.query_heads + row * params.query_heads + query_head;
  }
  ${
    split
      ? `let per_group = params.query_heads / params.kv_heads;
  let tile = first_tile(query_head / per_group) + place;
  return i * params.slab_records + (tile * params.rows + row) * per_group + query_head % per_group;`
      : "return i * params.slab_records + row * params.query_heads + query_head;"
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let query_head = group.x;
  let row = group.y;
  let tiles = tiles_of(query_head);
  let places = tiles + params.scratch_passes;
  var own = ${LOWEST};
  for (var place = thread; place < places; place += THREADS) {
    for (var i = 0u; i < records_at(place, tiles); i++) { own = max(own, stats[record_of(place, tiles, i, row, query_head)].x); }
  }
  reduced[thread] = own;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { reduced[thread] = max(reduced[thread], reduced[thread + half]); }
  }
  workgroupBarrier();
  let greatest = reduced[0];
  workgroupBarrier();
  var part = 0.0;
  for (var place = thread; place < places; place += THREADS) {
    for (var i = 0u; i < records_at(place, tiles); i++) {
      let record = stats[record_of(place, tiles, i, row, query_head)];
      part += record.y * exp(record.x - greatest);
    }
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
    for (var place = 0u; place < places; place++) {
      for (var i = 0u; i < records_at(place, tiles); i++) {
        let record = record_of(place, tiles, i, row, query_head);
        total += outputs[record * UNITS + unit] * exp(stats[record].x - greatest);
      }
    }
    out[((params.out_row + row) * params.query_heads + query_head) * UNITS + unit] = total * scale;
  }
  if (thread == 0u) { log_sums[row * params.query_heads + query_head] = greatest + log(sum); }
}
`;
}
