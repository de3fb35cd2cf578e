import { NOT_A_TOKEN } from "@winnow/core-tensor";

import { scalarReader, vectorReader, type FloatReader, type FloatStorage } from "../../wgsl/elements";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";

/** Vectors of a workgroup, one a thread. */
export const EMBED_THREADS = 64;

export interface EmbedVariant {
  /** Elements that a thread copies. */
  readonly vector: 1 | 4;
  readonly table: FloatStorage;
}

export function tableReader({ vector, table }: EmbedVariant): FloatReader {
  return vector === 4 ? vectorReader("table", table) : scalarReader("table", table);
}

/** Copies rows of a piece of the table; tokens outside the vocabulary are skipped and reported, but for NOT_A_TOKEN. */
export function embedWgsl(variant: EmbedVariant): string {
  const table = tableReader(variant);
  return `${FLAT_WORKGROUP}

${table.declarations}

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
  out[(params.first_out + row) * params.units + unit] = ${table.read("params.skip + (id - params.first) * params.units + unit")};
}`;
}
