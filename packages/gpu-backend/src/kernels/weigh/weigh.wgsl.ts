import { defineKernel, kernelVariants, type StorageVariable } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { COLUMN_PLACES } from "../../wgsl/paged";
import { workgroupReduction } from "../../wgsl/reduction";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";

const THREADS = 256;

export interface WeighVariant {
  /** Where the column lies; nowhere if no head stores it. */
  readonly source: "table" | "pages" | "nowhere";
  /** How what waits joins the column; null where nothing does. */
  readonly waiting: "sum" | "max" | null;
}

export const WEIGH_PARAMS = paramBlock({
  rows: "u32",
  capacity: "u32",
  // Words of a row of keep.
  keep_words: "u32",
  // Of slots in pages: the column, the one in which more waits, and where they lie.
  column: "u32",
  waiting: "u32",
  page_slots: "u32",
  column_table_width: "u32",
});

const NOT_STORED = `
fn slots_of(row: u32) -> u32 { return 0u; }

fn weight_of(row: u32, slot: u32) -> f32 { return 0.0; }
`;

const IN_TABLE = `
fn slots_of(row: u32) -> u32 { return min(counts[row], params.capacity); }

fn weight_of(row: u32, slot: u32) -> f32 { return weights[row * params.capacity + slot]; }
`;

const JOINED = { sum: "weight + more", max: "max(weight, more)" } as const;

function inPages(waiting: WeighVariant["waiting"]): string {
  const joined =
    waiting === null
      ? "return weight;"
      : `let beside = column_place(row, params.waiting, slot);
  if (beside == NOWHERE) { return weight; }
  let more = columns[beside];
  return ${JOINED[waiting]};`;
  return `${COLUMN_PLACES}
fn slots_of(row: u32) -> u32 { return min(data[row], params.capacity); }

fn weight_of(row: u32, slot: u32) -> f32 {
  let place = column_place(row, params.column, slot);
  if (place == NOWHERE) { return 0.0; }
  let weight = columns[place];
  ${joined}
}
`;
}

const STORAGE = {
  nowhere: {},
  table: { counts: { access: "read", type: "array<u32>" }, weights: { access: "read", type: "array<f32>" } },
  pages: { column_table: { access: "read", type: "array<u32>" }, columns: { access: "read", type: "array<f32>" } },
} as const satisfies Record<WeighVariant["source"], Readonly<Record<string, StorageVariable>>>;

function weightsWgsl({ source, waiting }: WeighVariant): string {
  switch (source) {
    case "nowhere":
      return NOT_STORED;
    case "table":
      return IN_TABLE;
    case "pages":
      return inPages(waiting);
  }
}

/**
 * Adds up a column over a head's slots, one workgroup a head. Without subgroups, so that the order of additions is the same
 * whatever their size: it depends on the head's slots alone.
 */
export const weighKernel = kernelVariants((variant: WeighVariant) => {
  const sum = workgroupReduction({ operation: "sum", workgroupSize: THREADS, subgroups: false });
  return defineKernel({
    label: "weigh",
    params: WEIGH_PARAMS,
    storage: {
      ...STORAGE[variant.source],
      keep: { access: "read", type: "array<u32>" },
      sums: { access: "write", type: "array<f32>" },
    },
    ...(variant.source === "pages" ? { data: "array<u32>" } : {}),
    code: `${FLAT_WORKGROUP}

const THREADS = ${THREADS}u;
${sum.declarations}
${weightsWgsl(variant)}
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, ${sum.parameters}) {
  let row = flat_workgroup(group, groups);
  if (row >= params.rows) { return; }
  let count = slots_of(row);
  var dropped = 0.0;
  var all = 0.0;
  for (var slot = local; slot < count; slot += THREADS) {
    let weight = weight_of(row, slot);
    all += weight;
    if (((keep[row * params.keep_words + slot / 32u] >> (slot % 32u)) & 1u) == 0u) { dropped += weight; }
  }
  let dropped_sum = ${sum.call("dropped")};
  let whole_sum = ${sum.call("all")};
  if (local == 0u) {
    sums[row * 2u] = dropped_sum;
    sums[row * 2u + 1u] = whole_sum;
  }
}
`,
  });
});
