import { STORED_COLUMNS } from "@winnow/core-tensor";

/**
 * Where the slots of a paged cache lie. The shader binds `page_table`, and its `Params` have `page_slots`,
 * `pages_per_slab` and `table_width`.
 */
export const SLOT_PLACES = `
/// The page of a head's slot; no slab has the page of one that lies outside the table.
fn slot_page(head: u32, slot: u32) -> u32 {
  let page = slot / params.page_slots;
  if (page >= params.table_width) { return 0xffffffffu; }
  return page_table[head * params.table_width + page];
}

/// Vectors of a head in the page's slab before the slot's key; its value lies page_slots vectors behind.
fn slot_place(page: u32, slot: u32) -> u32 {
  return (page % params.pages_per_slab) * 2u * params.page_slots + slot % params.page_slots;
}
`;

/**
 * Where what is stored beside slots lies. The shader binds `column_table`, and its `Params` have `page_slots`,
 * `column_pages_per_slab` and `column_table_width`.
 */
export const COLUMN_PLACES = `
/// Columns that a head may store.
const COLUMNS = ${STORED_COLUMNS.length}u;

/// The page of a slot's entry; no slab has that of a column which the head does not store.
fn column_page(head: u32, column: u32, slot: u32) -> u32 {
  let pages = (head * COLUMNS + column) * params.column_table_width;
  // A head that has no such column says so in its first entry; the others are of no matter.
  if (slot / params.page_slots >= params.column_table_width || column_table[pages] == 0xffffffffu) { return 0xffffffffu; }
  return column_table[pages + slot / params.page_slots];
}

/// Entries in the page's slab before the slot's.
fn column_place(page: u32, slot: u32) -> u32 {
  return (page % params.column_pages_per_slab) * params.page_slots + slot % params.page_slots;
}
`;
