import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";
import { RANK_TESTS } from "../rank-slots/rank-tests";

const THREADS = 256;

export interface SummariseCellsVariant {
  /** How many edges each scale has. */
  readonly edges: readonly number[];
}

export const CELLS_PARAMS = paramBlock({
  heads: "u32",
  capacity: "u32",
  table_columns: "u32",
  class_count: "u32",
  buckets: "u32",
  // Entries of classes from one head to the next: 0 where they share theirs.
  class_stride: "u32",
  rows_at: "u32",
});

/**
 * Gives each column of a KV head the number of its cell, class · buckets + bucket, and counts the columns of each cell. A
 * head's rank tests are the scales' edges, one scale after another: a column's bucket is how many edges it does not pass.
 * One workgroup a head.
 */
export const summariseCellsKernel = kernelVariants((variant: SummariseCellsVariant) =>
  defineKernel({
    label: "summarise.cells",
    params: CELLS_PARAMS,
    storage: {
      slot_counts: { access: "read", type: "array<u32>" },
      classes: { access: "read", type: "array<u32>" },
      cells: { access: "write", type: "array<u32>" },
      counts: { access: "write", type: "array<atomic<u32>>" },
      ...(isRanked(variant)
        ? ({
            positions: { access: "read", type: "array<u32>" },
            keys: { access: "read", type: "array<u32>" },
            thresholds: { access: "read", type: "array<u32>" },
          } as const)
        : {}),
    },
    ...(isRanked(variant) ? { data: "array<u32>" } : {}),
    code: summariseCellsWgsl(variant),
  }),
);

/** Whether any column's bucket depends on its rank. */
export function isRanked({ edges }: SummariseCellsVariant): boolean {
  return edges.some((count) => count > 0);
}

function summariseCellsWgsl({ edges }: SummariseCellsVariant): string {
  const ranked = isRanked({ edges });
  const buckets: string[] = [];
  let test = 0;
  for (const count of edges) {
    buckets.push(`bucket = bucket * ${count + 1}u + edges_behind(${test}u, ${test + count}u, slot);`);
    test += count;
  }
  return `${FLAT_WORKGROUP}

const THREADS = ${THREADS}u;
const NO_CELL = 0xffffffffu;

${
  ranked
    ? `${RANK_TESTS}
/// Edges first .. end that are no greater than the slot's rank.
fn edges_behind(first: u32, end: u32, slot: Slot) -> u32 {
  var behind = 0u;
  for (var test = first; test < end; test++) { behind += select(1u, 0u, passes(test, slot)); }
  return behind;
}

fn bucket_of(head: u32, column: u32) -> u32 {
  let at = head * params.capacity + column;
  let slot = Slot(head, column, positions[at]);
  var bucket = 0u;
  ${buckets.join("\n  ")}
  return bucket;
}`
    : "fn bucket_of(head: u32, column: u32) -> u32 { return 0u; }"
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = flat_workgroup(group, groups);
  if (head >= params.heads) { return; }
  let count = min(min(slot_counts[head], params.capacity), params.table_columns);
  let cells_of_head = params.class_count * params.buckets;
  let first_count = head * cells_of_head;
  for (var cell = thread; cell < cells_of_head; cell += THREADS) { atomicStore(&counts[first_count + cell], 0u); }
  storageBarrier();
  workgroupBarrier();
  let first_cell = head * params.capacity;
  for (var column = thread; column < count; column += THREADS) {
    let class_number = classes[head * params.class_stride + column];
    var cell = NO_CELL;
    if (class_number < params.class_count) {
      cell = class_number * params.buckets + bucket_of(head, column);
      atomicAdd(&counts[first_count + cell], 1u);
    }
    cells[first_cell + column] = cell;
  }
}
`;
}
