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
 * Where what is stored beside slots lies. The shader binds `column_table`, and its `Params` have `page_slots` and
 * `column_table_width`.
 */
export const COLUMN_PLACES = `
/// Columns that a head may store.
const COLUMNS = ${STORED_COLUMNS.length}u;
/// The place of an entry that the head does not store.
const NOWHERE = 0xffffffffu;

/// Entries before a slot's, or NOWHERE.
fn column_place(head: u32, column: u32, slot: u32) -> u32 {
  let pages = (head * COLUMNS + column) * params.column_table_width;
  // A head that has no such column says so in its first entry; the others are of no matter.
  if (slot / params.page_slots >= params.column_table_width || column_table[pages] == NOWHERE) { return NOWHERE; }
  return column_table[pages + slot / params.page_slots] * params.page_slots + slot % params.page_slots;
}
`;
