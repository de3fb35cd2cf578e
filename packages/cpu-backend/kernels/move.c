/* Slots that a selection keeps: gathered from scratch into pages, or moved down within them. */
#include "pages.h"
#include "tasks.h"

typedef struct {
  uint32_t head_dim, first_row;
  const uint32_t *keep;
  uint32_t keep_words;
  /* A table's columns by number, null where it has none: [rows][capacity] words. */
  const uint32_t *columns[COLUMN_COUNT];
  uint32_t capacity;
  /* Scratch rows from `start` on, which are the last `count` columns of the table's rows. */
  const float *k, *v;
  uint32_t scratch_capacity, start, count;
  const uint32_t *counts;
  /* By head, what `missing_page_of` says of the slots that it will have. */
  uint32_t *missing;
} Move;

static Move move;

EXPORT(move_columns) void move_columns(const uint32_t *position, const uint32_t *mass, const uint32_t *max_weight,
                                       const uint32_t *window_mass, const uint32_t *last_mass, const uint32_t *last_max_weight,
                                       uint32_t capacity) {
  const uint32_t *columns[COLUMN_COUNT] = {position, mass, max_weight, window_mass, last_mass, last_max_weight};
  for (Column column = POSITION; column < COLUMN_COUNT; column++) move.columns[column] = columns[column];
  move.capacity = capacity;
}

INLINE bool keeps(uint32_t row, uint32_t column) {
  return move.keep[row * move.keep_words + column / 32] >> column % 32 & 1;
}

#define NOT_STORED 0xffffffffu

/* Set what a head stores beside slot `to`: the table's, else that of its slot `stored`, else 0. */
static void write_columns(const Pages *pages, uint32_t head, uint32_t to, uint32_t row, uint32_t from, uint32_t stored) {
  for (Column column = POSITION; column < COLUMN_COUNT; column++) {
    if (!has_column(pages, head, column)) continue;
    uint32_t *at = (uint32_t *)column_at(pages, head, column, to);
    if (move.columns[column] != 0) *at = move.columns[column][row * move.capacity + from];
    else *at = stored == NOT_STORED ? 0 : *(const uint32_t *)column_at(pages, head, column, stored);
  }
}

static void copy_row(const uint32_t *from, uint32_t words, uint32_t *to) { __builtin_memmove(to, from, 4 * words); }

static void gather_head(const void *arguments, uint32_t head, uint32_t thread) {
  const Pages *pages = arguments;
  const uint32_t row = move.first_row + head;
  const uint32_t first = move.counts[row] - move.count;
  uint32_t to = pages->lengths[head], kept = 0;
  for (uint32_t i = 0; i < move.count; i++) kept += keeps(row, first + i);
  move.missing[head] = missing_page_of(pages, head, to + kept);
  if (move.missing[head] != NONE) return;
  for (uint32_t i = 0; i < move.count; i++) {
    if (!keeps(row, first + i)) continue;
    const uint32_t from = (head * move.scratch_capacity + move.start + i) * move.head_dim;
    uint32_t *key = slot_key(pages, head, to);
    copy_row((const uint32_t *)(move.k + from), move.head_dim, key);
    copy_row((const uint32_t *)(move.v + from), move.head_dim, key + pages->page_slots * pages->row_words);
    write_columns(pages, head, to++, row, first + i, NOT_STORED);
  }
  pages->lengths[head] = to;
}

static void compact_head(const void *arguments, uint32_t head, uint32_t thread) {
  const Pages *pages = arguments;
  const uint32_t row = move.first_row + head, values = pages->page_slots * pages->row_words;
  const uint32_t length = pages->lengths[head];
  uint32_t to = 0;
  for (uint32_t from = 0; from < length; from++) {
    if (!keeps(row, from)) continue;
    if (to != from) {
      const uint32_t *source = slot_key(pages, head, from);
      uint32_t *target = slot_key(pages, head, to);
      copy_row(source, pages->row_words, target);
      copy_row(source + values, pages->row_words, target + values);
    }
    write_columns(pages, head, to++, row, from, from);
  }
  pages->lengths[head] = to;
}

/* missing: [kv_heads]; a head whose pages are not all there is left as it is. */
EXPORT(gather) void gather(uint32_t kv_heads, uint32_t head_dim, uint32_t first_row, const uint32_t *keep, uint32_t keep_words,
                           const float *k, const float *v, uint32_t scratch_capacity, uint32_t start, uint32_t count,
                           const uint32_t *counts, uint32_t *missing) {
  move.head_dim = head_dim;
  move.first_row = first_row;
  move.keep = keep;
  move.keep_words = keep_words;
  move.k = k;
  move.v = v;
  move.scratch_capacity = scratch_capacity;
  move.start = start;
  move.count = count;
  move.counts = counts;
  move.missing = missing;
  run_tasks(gather_head, &pages_in_use, kv_heads);
}

EXPORT(compact) void compact(uint32_t kv_heads, uint32_t first_row, const uint32_t *keep, uint32_t keep_words) {
  move.first_row = first_row;
  move.keep = keep;
  move.keep_words = keep_words;
  run_tasks(compact_head, &pages_in_use, kv_heads);
}
