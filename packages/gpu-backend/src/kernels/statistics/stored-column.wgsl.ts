import { WinnowError } from "@winnow/core-tensor";

import { defineFault } from "../../dispatch/fault";
import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { COLUMN_PLACES } from "../../wgsl/paged";
import { SLOT_THREADS } from "./slot-facts.wgsl";

const RECORDED = {
  no: "0.0",
  sum: "seen[id.y * params.room + id.x]",
  max: "max(0.0, seen[id.y * params.room + id.x])",
  replace: "seen[id.y * params.room + id.x]",
} as const;

export const RECORDED_PARAMS = paramBlock({ first_row: "u32", capacity: "u32", room: "u32" });

const TOO_FEW = defineFault(
  (slots, room) =>
    new WinnowError("shape", `statistics: a column was recorded for ${room} columns, and a head has ${slots} slots`),
);

export interface RecordedColumnVariant {
  /** What was recorded, and how what is stored joins it; what nobody stores is 0. */
  readonly recorded: "no" | "sum" | "max" | "replace";
}

/** A column of all slots as it was recorded, or zeros. */
export const recordedColumnKernel = kernelVariants(({ recorded }: RecordedColumnVariant) =>
  defineKernel({
    label: "statistics.recorded",
    params: RECORDED_PARAMS,
    storage: {
      counts: { access: "read", type: "array<u32>" },
      ...(recorded !== "no" ? ({ seen: { access: "read", type: "array<f32>" } } as const) : {}),
      column: { access: "write", type: "array<f32>" },
    },
    fault: TOO_FEW,
    code: `
@compute @workgroup_size(${SLOT_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = params.first_row + id.y;
  if (id.x >= counts[row]) { return; }
  ${
    recorded === "no" ? "" : "if (id.x >= params.room) {\n    report_fault(counts[row], params.room);\n    return;\n  }"
  }
  column[row * params.capacity + id.x] = ${RECORDED[recorded]};
}`,
  }),
);

export interface StoredColumnVariant {
  /** How a stored entry and what is in the table are put together; `set` moves bits, whatever they mean. */
  readonly reduce: "set" | "sum" | "max";
}

export const STORED_PARAMS = paramBlock({
  first_row: "u32",
  capacity: "u32",
  column: "u32",
  // The column whose heads alone are looked at: one that is added to another is of no use by itself.
  beside: "u32",
  page_slots: "u32",
  column_table_width: "u32",
});

/** What heads store in a column beside kept slots. */
export const storedColumnKernel = kernelVariants(({ reduce }: StoredColumnVariant) => {
  const type = reduce === "set" ? "array<u32>" : "array<f32>";
  const put = {
    set: "table_column[at] = stored;",
    sum: "table_column[at] = stored + table_column[at];",
    max: "table_column[at] = max(stored, table_column[at]);",
  }[reduce];
  return defineKernel({
    label: "statistics.stored",
    params: STORED_PARAMS,
    storage: {
      lengths: { access: "read", type: "array<u32>" },
      column_table: { access: "read", type: "array<u32>" },
      columns: { access: "read", type },
      table_column: { access: "write", type },
    },
    code: `
${COLUMN_PLACES}

@compute @workgroup_size(${SLOT_THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let slot = id.x;
  let head = id.y;
  if (slot >= min(lengths[head], params.capacity)) { return; }
  let place = column_place(head, params.column, slot);
  if (place == NOWHERE || column_place(head, params.beside, slot) == NOWHERE) { return; }
  let at = (params.first_row + head) * params.capacity + slot;
  let stored = columns[place];
  ${put}
}`,
  });
});
