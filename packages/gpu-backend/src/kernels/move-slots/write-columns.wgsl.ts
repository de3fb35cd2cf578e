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
  /** What other columns get: what was staged, 0, or nothing, because an earlier pass has written them. */
  readonly rest: "staged" | "zero" | "written";
  /** Whether positions come from the slot table too. */
  readonly positions: boolean;
  /** Columns that later passes write. */
  readonly later: readonly StoredColumn[];
}

export const WRITE_COLUMNS_PARAMS = paramBlock({
  room: "u32",
  capacity: "u32",
  first_row: "u32",
  page_slots: "u32",
  column_table_width: "u32",
});

/** Writes what is stored beside kept slots: from the table, else as staged. */
export const writeColumnsKernel = kernelVariants((variant: WriteColumnsVariant) => {
  const given = variant.given.map((name) => [`of_${name}`, { access: "read", type: "array<u32>" }] as const);
  return defineKernel({
    label: "move.writeColumns",
    params: WRITE_COLUMNS_PARAMS,
    storage: {
      lists: { access: "read", type: "array<u32>" },
      column_table: { access: "read", type: "array<u32>" },
      // f32 but for the positions; only bits are moved here.
      columns: { access: "write", type: "array<u32>" },
      ...(variant.positions ? ({ positions: { access: "read", type: "array<u32>" } } as const) : {}),
      ...Object.fromEntries(given),
      ...(variant.rest === "staged" ? ({ staged: { access: "read", type: "array<u32>" } } as const) : {}),
    },
    code: writeColumnsWgsl(variant),
  });
});

function writeColumnsWgsl({ given, rest, positions, later }: WriteColumnsVariant): string {
  const number = (name: StoredColumn): string => `${STORED_COLUMNS.indexOf(name)}u`;
  const others = {
    staged: "value = staged[(head * COLUMNS + column) * params.room + i];",
    zero: "",
    written: "return;",
  }[rest];
  return `${KEPT_LISTS}
${COLUMN_PLACES}
@compute @workgroup_size(${COLUMN_SLOTS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let column = id.y;
  let head = id.z;
  if (i >= kept_count(head)) { return; }
  let place = column_place(head, column, first_slot(head) + i);
  if (place == NOWHERE) { return; }
  let entry = (params.first_row + head) * params.capacity + kept_column(head, i);
  var value = 0u;
  switch (column) {
    ${positions ? `case ${number("position")}: { value = positions[entry]; }` : ""}
    ${given.map((name) => `case ${number(name)}: { value = of_${name}[entry]; }`).join("\n    ")}
    ${later.length === 0 ? "" : `case ${later.map(number).join(", ")}: { return; }`}
    default: { ${others} }
  }
  columns[place] = value;
}
`;
}
