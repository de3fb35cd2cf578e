#include "pages.h"

Pages pages_in_use;

EXPORT(use_pages) void use_pages(uint32_t *const *slabs, uint32_t slab_count, uint32_t pages_per_slab, uint32_t page_slots,
                                 uint32_t row_words, KvForm form, const uint32_t *table, uint32_t table_width,
                                 uint32_t *lengths, float *columns, uint32_t column_page_count, const uint32_t *column_table,
                                 uint32_t column_table_width, bool pending) {
  pages_in_use = (Pages){slabs,       slab_count, pages_per_slab,    page_slots,   row_words,          form,   table,
                         table_width, lengths,    columns,           column_page_count, column_table, column_table_width, pending};
}

EXPORT(use_no_pages) void use_no_pages(void) { pages_in_use.slabs = 0; }

/* Elements of q4 that share a scale. */
#define Q4_GROUP 32

void read_kv_row(KvForm form, const uint32_t *row, uint32_t head_dim, float *to) {
  if (form == KV_Q8) {
    const f32x4 scale = splat_at((const float *)row + head_dim / 4);
    for (uint32_t i = 0; i < head_dim; i += 4) {
      i32x4 whole = wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(row + i / 4)));
      store4(to + i, wasm_f32x4_mul(wasm_f32x4_convert_i32x4(whole), scale));
    }
    return;
  }
  const float *scales = (const float *)row + head_dim / 8;
  for (uint32_t i = 0; i < head_dim; i += 8) {
    f32x4 scale = splat_at(scales + i / Q4_GROUP);
    int32_t word = (int32_t)row[i / 8];
    i32x4 low = wasm_i32x4_make(word << 28, word << 24, word << 20, word << 16);
    i32x4 high = wasm_i32x4_make(word << 12, word << 8, word << 4, word);
    store4(to + i, wasm_f32x4_mul(wasm_f32x4_convert_i32x4(wasm_i32x4_shr(low, 28)), scale));
    store4(to + i + 4, wasm_f32x4_mul(wasm_f32x4_convert_i32x4(wasm_i32x4_shr(high, 28)), scale));
  }
}

static bool is_missing(const Pages *pages, uint32_t page) {
  const uint32_t slab = page / pages->pages_per_slab;
  return slab >= pages->slab_count || pages->slabs[slab] == 0;
}

uint32_t missing_page_of(const Pages *pages, uint32_t head, uint32_t slots) {
  const uint32_t count = (slots + pages->page_slots - 1) / pages->page_slots;
  if (count > pages->table_width) return BEYOND_TABLE;
  const uint32_t *row = pages->table + head * pages->table_width;
  for (uint32_t i = 0; i < count; i++)
    if (is_missing(pages, row[i])) return row[i];
  for (Column column = POSITION; column < COLUMN_COUNT; column++) {
    if (!has_column(pages, head, column)) continue;
    if (count > pages->column_table_width) return BEYOND_TABLE;
    row = column_pages(pages, head, column);
    for (uint32_t i = 0; i < count; i++)
      if (row[i] >= pages->column_page_count) return row[i];
  }
  return NONE;
}

/* The first page of some heads' slots, and of `more` behind them, that is not there; NONE where all are. */
EXPORT(missing_page) uint32_t missing_page(uint32_t heads, uint32_t more) {
  for (uint32_t head = 0; head < heads; head++) {
    const uint32_t page = missing_page_of(&pages_in_use, head, pages_in_use.lengths[head] + more);
    if (page != NONE) return page;
  }
  return NONE;
}
