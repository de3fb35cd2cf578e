import { isQuantised, NOT_A_TOKEN } from "@winnow/core-tensor";

import { floatStorage, scalarReader, vectorReader, type FloatReader, type WeightStorage } from "../../wgsl/elements";
import { quantisedReader } from "../../wgsl/quantised";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";

/** Vectors of a workgroup, one a thread. */
export const EMBED_THREADS = 64;

export interface EmbedVariant {
  /** Elements that a thread copies. */
  readonly vector: 1 | 4;
  readonly table: WeightStorage;
}

/** The WGSL type of the table. */
export function tableType(variant: EmbedVariant): string {
  return isQuantised(variant.table) ? "array<u32>" : tableReader(variant).type;
}

function tableReader({ vector, table }: EmbedVariant): FloatReader {
  const storage = floatStorage(table);
  return vector === 4 ? vectorReader("table", storage) : scalarReader("table", storage);
}

/** `load(row, unit)`: what a thread copies. */
function loadWgsl(variant: EmbedVariant): string {
  if (isQuantised(variant.table)) {
    return `${quantisedReader("table", variant.table)}

fn load(row: u32, unit: u32) -> vec4f { return table_at(params.skip + row * params.row_words, unit); }`;
  }
  const reader = tableReader(variant);
  return `${reader.declarations}

fn load(row: u32, unit: u32) -> ${variant.vector === 4 ? "vec4f" : "f32"} { return ${reader.read("params.skip + row * params.units + unit")}; }`;
}

/** Copies rows of a piece of the table, scaled; tokens outside the vocabulary are skipped and reported, but for NOT_A_TOKEN. */
export function embedWgsl(variant: EmbedVariant): string {
  return `${FLAT_WORKGROUP}

${loadWgsl(variant)}

@compute @workgroup_size(${EMBED_THREADS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = flat_workgroup(group, groups) * ${EMBED_THREADS}u + thread;
  let row = i / params.units;
  if (row >= params.rows) { return; }
  let id = ids[params.first_id + row];
  if (id >= params.vocabulary) {
    if (id != ${NOT_A_TOKEN}u) { report_fault(id, params.vocabulary); }
    return;
  }
  if (id < params.first || id - params.first >= params.count) { return; }
  let unit = i % params.units;
  out[(params.first_out + row) * params.units + unit] = params.scale * load(id - params.first, unit);
}`;
}
