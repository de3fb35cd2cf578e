import { STORED_COLUMNS, type SelectSlots } from "@winnow/core-tensor";

import { whole, type Binding } from "../../dispatch/binding";
import type { StorageVariable } from "../../dispatch/kernel";
import { tensorOperand } from "../../dispatch/operands";
import type { ParamValues } from "../../dispatch/params";
import { COLUMN_PLACES } from "../../wgsl/paged";

/** Where a kernel finds slots: in a table's columns, or in the pages of a cache. */
export type SlotSource = SelectSlots["kind"];

/** Parameters that every kernel has which looks at the slots of a plan's rows. */
export const SLOT_PARAMS = {
  // The first row of the plan.
  table_row: "u32",
  capacity: "u32",
  // Of slots in pages: where the rows' counts begin among the words; of classes, the positions that have some.
  counts_at: "u32",
  known: "u32",
  page_slots: "u32",
  column_table_width: "u32",
  // Whether `lastMass` and `lastMaxWeight` have still to be added.
  pending: "u32",
} as const;

/** What the slots' kernels bind. */
export function slotStorage(source: SlotSource): Readonly<Record<string, StorageVariable>> {
  const read = { access: "read", type: "array<u32>" } as const;
  return source === "table"
    ? { counts: read, positions: read, slot_flags: read }
    : { column_table: read, columns: read, class_flags: read };
}

/** Storage buffers that {@link slotStorage} names. */
export const SLOT_BUFFERS = 3;

export function slotBindings(slots: SelectSlots): Readonly<Record<string, Binding>> {
  const flags = whole(tensorOperand("flags", slots.flags, ["u32"]));
  if (slots.kind === "table") {
    return {
      counts: whole(tensorOperand("counts", slots.counts, ["u32"])),
      positions: whole(tensorOperand("positions", slots.position, ["u32"])),
      slot_flags: flags,
    };
  }
  const table = whole(tensorOperand("column table", slots.columnTable, ["u32"]));
  return {
    column_table: table,
    // Where no head stores anything nobody reads them.
    columns: slots.columns === null ? table : whole(tensorOperand("columns", slots.columns, ["f32"])),
    class_flags: flags,
  };
}

/** @param plan its first row, and where the counts begin among its words. */
export function slotParams(
  slots: SelectSlots,
  plan: { readonly firstRow: number; readonly countsAt: number },
): ParamValues<typeof SLOT_PARAMS> {
  const paged = slots.kind === "pages";
  return {
    table_row: plan.firstRow,
    capacity: slots.capacity,
    counts_at: plan.countsAt,
    known: slots.flags.shape[0] ?? 0,
    page_slots: paged ? slots.pageSlots : 1,
    column_table_width: paged ? (slots.columnTable.shape[2] ?? 0) : 0,
    pending: paged && slots.pending ? 1 : 0,
  };
}

/** How kernels look at slots, by the row of the plan and the slot's number. Goes with `RANK_TESTS`, which has `Slot`. */
export function slotWgsl(source: SlotSource): string {
  return source === "table" ? IN_TABLE : IN_PAGES;
}

const IN_TABLE = `
fn slots_of(row: u32) -> u32 { return min(counts[params.table_row + row], params.capacity); }

fn slot_place(row: u32, number: u32) -> u32 { return (params.table_row + row) * params.capacity + number; }

fn position_of(row: u32, number: u32) -> u32 { return positions[slot_place(row, number)]; }

fn flags_of(slot: Slot) -> u32 { return slot_flags[slot_place(slot.row, slot.number)]; }
`;

const IN_PAGES = `${COLUMN_PLACES}
fn slots_of(row: u32) -> u32 { return min(data[params.counts_at + row], params.capacity); }

/// What a head stores beside a slot; 0 where it stores nothing.
fn stored(slot: Slot, column: u32) -> f32 {
  let place = column_place(params.table_row + slot.row, column, slot.number);
  if (place == NOWHERE) { return 0.0; }
  return bitcast<f32>(columns[place]);
}

/// What waits to be added to it.
fn waiting(slot: Slot, column: u32, beside: u32) -> f32 {
  if (params.pending == 0u) { return 0.0; }
  if (column_place(params.table_row + slot.row, beside, slot.number) == NOWHERE) { return 0.0; }
  return stored(slot, column);
}

fn position_of(row: u32, number: u32) -> u32 {
  let place = column_place(params.table_row + row, ${STORED_COLUMNS.indexOf("position")}u, number);
  // Where a head stores none, nothing was ever dropped.
  if (place == NOWHERE) { return number; }
  return columns[place];
}

fn flags_of(slot: Slot) -> u32 {
  if (slot.position >= params.known) { return 0u; }
  return class_flags[slot.position];
}
`;
