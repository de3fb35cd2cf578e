import { STORED_COLUMNS, type StoredColumn } from "@winnow/core-tensor";

import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { COLUMN_PLACES } from "../../wgsl/paged";
import { KEPT_LISTS } from "./kept-lists.wgsl";

/** Slots of a workgroup, one a thread. */
export const COLUMN_SLOTS = 64;

/** Columns that a slot table need not have. */
export const TABLE_COLUMNS = STORED_COLUMNS.filter(
  (name): name is Exclude<StoredColumn, "position"> => name !== "position",
);

export interface WriteColumnsVariant {
  /** Columns that come from the slot table. */
  readonly given: readonly StoredColumn[];
  /** Whether the others were staged; else they are 0. */
  readonly staged: boolean;
}

export const WRITE_COLUMNS_PARAMS = paramBlock({
  room: "u32",
  capacity: "u32",
  first_row: "u32",
  slab: "u32",
  page_slots: "u32",
  column_pages_per_slab: "u32",
  column_table_width: "u32",
});

/** Writes what is stored beside kept slots where its page lies in one column slab: from the table, else as staged. */
export const writeColumnsKernel = kernelVariants((variant: WriteColumnsVariant) => {
  const given = variant.given.map((name) => [`of_${name}`, { access: "read", type: "array<u32>" }] as const);
  return defineKernel({
    label: "move.writeColumns",
    params: WRITE_COLUMNS_PARAMS,
    storage: {
      lists: { access: "read", type: "array<u32>" },
      column_table: { access: "read", type: "array<u32>" },
      // f32 but for the positions; only bits are moved here.
      slab: { access: "write", type: "array<u32>" },
      positions: { access: "read", type: "array<u32>" },
      ...Object.fromEntries(given),
      ...(variant.staged ? ({ staged: { access: "read", type: "array<u32>" } } as const) : {}),
    },
    code: writeColumnsWgsl(variant),
  });
});

function writeColumnsWgsl({ given, staged }: WriteColumnsVariant): string {
  return `${KEPT_LISTS}
${COLUMN_PLACES}
@compute @workgroup_size(${COLUMN_SLOTS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let column = id.y;
  let head = id.z;
  if (i >= kept_count(head)) { return; }
  let slot = first_slot(head) + i;
  let page = column_page(head, column, slot);
  if (page / params.column_pages_per_slab != params.slab) { return; }
  let entry = (params.first_row + head) * params.capacity + kept_column(head, i);
  var value = 0u;
  switch (column) {
    case ${STORED_COLUMNS.indexOf("position")}u: { value = positions[entry]; }
    ${given.map((name) => `case ${STORED_COLUMNS.indexOf(name)}u: { value = of_${name}[entry]; }`).join("\n    ")}
    default: { ${staged ? "value = staged[(head * COLUMNS + column) * params.room + i];" : ""} }
  }
  slab[column_place(page, slot)] = value;
}
`;
}
