/* What is kept of attention's weights: mass tables and columns of a profile, and what heads store beside their slots. */
#include "attend.h"

extern Attend attend_in_use;

/* Columns that a task adds up: its rows' additions are in order, whoever runs it. */
#define COLUMNS_AT_ONCE 1024

typedef enum { TABLE, SUM, MAX, PIVOTAL } Kind;

typedef struct {
  Kind kind;
  float *into;
  /* Columns of a head. */
  uint32_t stride;
  /* By row of this call, whether it counts. */
  const uint8_t *rows;
  /* Ascending windows, and of every row and column the position; for tables with bands, and for pivotal weights. */
  uint32_t band_count;
  const uint32_t *bands;
  const uint32_t *row_positions, *column_positions;
  /* Columns of all heads; those of a head have its own. */
  uint32_t position_stride;
  uint32_t record_columns;
  /* How much more a pivotal weight is than a uniform one would be (`isPivotal` of @winnow/core-tensor). */
  float margin;
} Recording;

static void add_sum(float *into, const float *weights, uint32_t count) {
  uint32_t c = 0;
  for (; c + 4 <= count; c += 4) store4(into + c, wasm_f32x4_add(load4(into + c), load4(weights + c)));
  for (; c < count; c++) into[c] += weights[c];
}

static void add_max(float *into, const float *weights, uint32_t count) {
  uint32_t c = 0;
  /* What is not greater, or no number, leaves things as they are. */
  for (; c + 4 <= count; c += 4) store4(into + c, wasm_f32x4_pmax(load4(into + c), load4(weights + c)));
  for (; c < count; c++) into[c] = weights[c] > into[c] ? weights[c] : into[c];
}

/* The same of what heads store, where a weight that is no number leaves none. */
static void join_max(float *into, const float *weights, uint32_t count) {
  uint32_t c = 0;
  for (; c + 4 <= count; c += 4) store4(into + c, wasm_f32x4_max(load4(into + c), load4(weights + c)));
  for (; c < count; c++) {
    f32x4 greater = wasm_f32x4_max(wasm_f32x4_splat(into[c]), wasm_f32x4_splat(weights[c]));
    into[c] = wasm_f32x4_extract_lane(greater, 0);
  }
}

static void add_banded(const Recording *to, float *into, const float *weights, const uint32_t *positions, uint32_t position,
                       uint32_t count) {
  const uint32_t bands = to->band_count;
  uint32_t band = bands;
  for (uint32_t c = 0; c < count; c++) {
    /* Neighbouring columns are mostly of one band. */
    const int64_t distance = (int64_t)position - positions[c];
    while (band > 0 && distance < to->bands[band - 1]) band--;
    while (band < bands && distance >= to->bands[band]) band++;
    into[c * (bands + 1) + band] += weights[c];
  }
}

static void record_task(const void *arguments, uint32_t task, uint32_t thread) {
  const Recording *to = arguments;
  const Attend *attend = &attend_in_use;
  const uint32_t head = task % attend->kv_heads;
  const uint32_t from = task / attend->kv_heads * COLUMNS_AT_ONCE;
  const uint32_t kept = kept_of(attend, head);
  const uint32_t bands = to->band_count + 1;
  const uint32_t *positions = to->column_positions + head * to->position_stride + from;
  for (uint32_t row = 0; row < attend->count; row++) {
    if (!to->rows[row]) continue;
    const uint32_t columns = least(kept + to->record_columns, visible_to(attend, head, attend->from + row));
    if (columns <= from) continue;
    const uint32_t count = least(columns - from, COLUMNS_AT_ONCE);
    for (uint32_t g = 0; g < attend->group; g++) {
      const float *weights = weights_of(attend, head, row) + g * attend->weight_stride + from;
      if (to->kind == TABLE) {
        float *into = to->into + ((head * attend->group + g) * to->stride + from) * bands;
        if (bands == 1) add_sum(into, weights, count);
        else add_banded(to, into, weights, positions, to->row_positions[row], count);
        continue;
      }
      float *into = to->into + head * to->stride + from;
      if (to->kind == SUM) add_sum(into, weights, count);
      else if (to->kind == MAX) add_max(into, weights, count);
      else
        for (uint32_t c = 0; c < count; c++)
          if (weights[c] * (float)(to->row_positions[row] + 1) > to->margin) into[c] += 1;
    }
  }
}

/* Add the weights of the rows just attended to a table or a column of the profile. */
EXPORT(record) void record(Kind kind, float *into, uint32_t stride, const uint8_t *rows, uint32_t band_count, const uint32_t *bands,
                           const uint32_t *row_positions, const uint32_t *column_positions, uint32_t position_stride,
                           uint32_t record_columns, uint32_t columns, float margin) {
  const Recording to = {kind,  into, stride, rows, band_count, bands, row_positions, column_positions, position_stride, record_columns, margin};
  run_tasks(record_task, &to, attend_in_use.kv_heads * parts_of(columns, COLUMNS_AT_ONCE));
}

typedef struct {
  Column into, waiting;
  bool is_sum;
} Stored;

static const Stored STORED[] = {{MASS, LAST_MASS, true}, {MAX_WEIGHT, LAST_MAX_WEIGHT, false}};

/* Add what waits of the row before. */
static void add_waiting(const Pages *pages, uint32_t head, const Stored *stored) {
  if (!has_column(pages, head, stored->into) || !has_column(pages, head, stored->waiting)) return;
  const uint32_t length = pages->lengths[head];
  for (uint32_t slot = 0; slot < length; slot += pages->page_slots) {
    float *into = column_at(pages, head, stored->into, slot);
    const float *more = column_at(pages, head, stored->waiting, slot);
    const uint32_t count = least(pages->page_slots, length - slot);
    if (stored->is_sum) add_sum(into, more, count);
    else join_max(into, more, count);
  }
}

static void accumulate_row(const Attend *attend, uint32_t head, uint32_t row, const Stored *stored, Column into, bool afresh) {
  const Pages *pages = attend->pages;
  if (!has_column(pages, head, into)) return;
  const uint32_t length = pages->lengths[head];
  const uint32_t seen = least(length, visible_to(attend, head, attend->from + row));
  for (uint32_t slot = 0; slot < length; slot += pages->page_slots) {
    float *to = column_at(pages, head, into, slot);
    const uint32_t slots = least(pages->page_slots, length - slot);
    if (afresh)
      for (uint32_t s = 0; s < slots; s++) to[s] = 0;
    if (seen <= slot) continue;
    const float *weights = weights_of(attend, head, row) + slot;
    const uint32_t count = least(slots, seen - slot);
    for (uint32_t g = 0; g < attend->group; g++, weights += attend->weight_stride) {
      if (stored->is_sum) add_sum(to, weights, count);
      else join_max(to, weights, count);
    }
  }
}

static void accumulate_task(const void *arguments, uint32_t head, uint32_t thread) {
  const Attend *attend = arguments;
  for (uint32_t i = 0; i < 2; i++) {
    const Stored *stored = STORED + i;
    if (attend->from == 0 && attend->pages->pending) add_waiting(attend->pages, head, stored);
    for (uint32_t row = 0; row < attend->count; row++) {
      const bool waits = attend->from + row + 1 == attend->group_count && has_column(attend->pages, head, stored->waiting);
      accumulate_row(attend, head, row, stored, waits ? stored->waiting : stored->into, waits);
    }
  }
}

/* Put the weights of the rows just attended beside the slots; those of the group's newest row wait. */
EXPORT(accumulate) void accumulate(void) {
  run_tasks(accumulate_task, &attend_in_use, attend_in_use.kv_heads);
}
