/* The kept slots of one sequence in one layer: `PagedKv` of @winnow/core-tensor. */
#ifndef PAGES_H
#define PAGES_H

#include "simd.h"

#define NO_PAGE 0xffffffffu

/* As STORED_COLUMNS numbers them. */
typedef enum { POSITION, MASS, MAX_WEIGHT, WINDOW_MASS, LAST_MASS, LAST_MAX_WEIGHT, COLUMN_COUNT } Column;

typedef enum { KV_F32, KV_Q8, KV_Q4 } KvForm;

typedef struct {
  /* Null where there are no pages. */
  uint32_t *const *slabs;
  uint32_t slab_count, pages_per_slab, page_slots;
  /* Words of a slot's key, or of its value. */
  uint32_t row_words;
  KvForm form;
  const uint32_t *table;
  uint32_t table_width;
  uint32_t *lengths;
  float *columns;
  uint32_t column_page_count;
  const uint32_t *column_table;
  uint32_t column_table_width;
  bool pending;
} Pages;

/* The key of a slot; its value lies `page_slots` rows behind it. */
INLINE uint32_t *slot_key(const Pages *pages, uint32_t head, uint32_t slot) {
  const uint32_t page = pages->table[head * pages->table_width + slot / pages->page_slots];
  const uint32_t row = page % pages->pages_per_slab * 2 * pages->page_slots + slot % pages->page_slots;
  return pages->slabs[page / pages->pages_per_slab] + row * pages->row_words;
}

INLINE const uint32_t *column_pages(const Pages *pages, uint32_t head, Column column) {
  return pages->column_table + (head * COLUMN_COUNT + column) * pages->column_table_width;
}

INLINE bool has_column(const Pages *pages, uint32_t head, Column column) {
  return pages->columns != 0 && column_pages(pages, head, column)[0] != NO_PAGE;
}

/* What lies beside a slot and, in its page, beside those behind it. */
INLINE float *column_at(const Pages *pages, uint32_t head, Column column, uint32_t slot) {
  const uint32_t page = column_pages(pages, head, column)[slot / pages->page_slots];
  return pages->columns + page * pages->page_slots + slot % pages->page_slots;
}

/* Of pages that are looked for: none is missing; one lies beyond its table. */
#define NONE 0xffffffffu
#define BEYOND_TABLE 0xfffffffeu

/* The first page of a head's first `slots` slots, or of what lies beside them, that is not there; NONE where all are. */
uint32_t missing_page_of(const Pages *pages, uint32_t head, uint32_t slots);

/* The pages that the next operation is about. */
extern Pages pages_in_use;

/* A row of a quantised cache as floats (`quantiseRows` of @winnow/core-tensor). */
void read_kv_row(KvForm form, const uint32_t *row, uint32_t head_dim, float *to);

#endif
