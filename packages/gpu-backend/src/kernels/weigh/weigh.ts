import { STORED_COLUMNS, WAITING, expectShape, type SelectSlots, type WeighSpec } from "@winnow/core-tensor";

import type { GpuCapabilities } from "../../device/capabilities";
import { whole, type Binding } from "../../dispatch/binding";
import type { Plan } from "../../dispatch/dispatch";
import { flatGrid } from "../../dispatch/grid";
import { tensorOperand } from "../../dispatch/operands";
import { WEIGH_PARAMS, weighKernel, type WeighVariant } from "./weigh.wgsl";

/** Add up a column over each head's slots: those that are not kept, and all. */
export function planWeigh({ slots, column, keep, sums }: WeighSpec, { limits }: GpuCapabilities): Plan {
  expectShape("weigh", "keep", keep.shape, [slots.rowCount, Math.ceil(slots.capacity / 32)]);
  expectShape("weigh", "sums", sums.shape, [slots.rowCount, 2]);
  const into = tensorOperand("sums", sums, ["f32"]);
  const { source, bindings } = weightsOf(slots, column);
  const waiting = slots.kind === "pages" && slots.pending ? WAITING[column] : undefined;
  return [
    {
      kernel: weighKernel({ source, waiting: waiting?.reduce ?? null }),
      params: WEIGH_PARAMS.pack({
        rows: slots.rowCount,
        capacity: slots.capacity,
        keep_words: keep.shape[1] ?? 0,
        column: STORED_COLUMNS.indexOf(column),
        waiting: STORED_COLUMNS.indexOf(waiting?.column ?? column),
        page_slots: slots.kind === "pages" ? slots.pageSlots : 1,
        column_table_width: slots.kind === "pages" ? (slots.columnTable.shape[2] ?? 0) : 0,
      }),
      bindings: { ...bindings, keep: whole(tensorOperand("keep", keep, ["u32"])), sums: whole(into) },
      ...(source === "pages" && slots.kind === "pages" ? { data: Uint32Array.from(slots.counts) } : {}),
      grid: flatGrid(slots.rowCount, limits),
    },
  ];
}

function weightsOf(
  slots: SelectSlots,
  column: WeighSpec["column"],
): { readonly source: WeighVariant["source"]; readonly bindings: Readonly<Record<string, Binding>> } {
  const stored = slots.kind === "table" ? slots.columns[column] : slots.columns;
  if (stored === undefined || stored === null) return { source: "nowhere", bindings: {} };
  const values = whole(tensorOperand(column, stored, ["f32"]));
  if (slots.kind === "table") {
    const counts = whole(tensorOperand("counts", slots.counts, ["u32"]));
    return { source: "table", bindings: { counts, weights: values } };
  }
  const table = whole(tensorOperand("column table", slots.columnTable, ["u32"]));
  return { source: "pages", bindings: { column_table: table, columns: values } };
}
