/* Rotate queries and keys, and put keys and values where they belong. */
#include "pages.h"
#include "tasks.h"

typedef struct {
  uint32_t query_heads, kv_heads, head_dim;
  float *qkv;
  const float *rotation;
  /* Scratch, or else the pages in use. */
  float *k, *v;
  uint32_t capacity, at;
  const uint32_t *positions;
} Append;

/* Turn element i and element i + head_dim / 2 by the row's angle i. `to` may be `from`. */
static void rotate(const float *from, const float *cosines, const float *sines, uint32_t half, float *to) {
  uint32_t i = 0;
  for (; i + 4 <= half; i += 4) {
    f32x4 a = load4(from + i), b = load4(from + half + i), cosine = load4(cosines + i), sine = load4(sines + i);
    store4(to + i, wasm_f32x4_sub(wasm_f32x4_mul(a, cosine), wasm_f32x4_mul(b, sine)));
    store4(to + half + i, wasm_f32x4_add(wasm_f32x4_mul(b, cosine), wasm_f32x4_mul(a, sine)));
  }
  for (; i < half; i++) {
    const float a = from[i], b = from[half + i];
    to[i] = a * cosines[i] - b * sines[i];
    to[half + i] = b * cosines[i] + a * sines[i];
  }
}

static void append_row(const void *arguments, uint32_t row, uint32_t thread) {
  const Append *append = arguments;
  const Pages *pages = &pages_in_use;
  const uint32_t dim = append->head_dim;
  const float *cosines = append->rotation + row * dim, *sines = cosines + dim / 2;
  float *q = append->qkv + row * (append->query_heads + 2 * append->kv_heads) * dim;
  const float *key = q + append->query_heads * dim;
  const float *value = key + append->kv_heads * dim;
  for (uint32_t head = 0; head < append->query_heads; head++) rotate(q + head * dim, cosines, sines, dim / 2, q + head * dim);
  for (uint32_t head = 0; head < append->kv_heads; head++, key += dim, value += dim) {
    float *to, *values_to;
    if (append->k != 0) {
      const uint32_t place = (head * append->capacity + append->at + row) * dim;
      to = append->k + place;
      values_to = append->v + place;
    } else {
      const uint32_t slot = pages->lengths[head] + row;
      to = (float *)slot_key(pages, head, slot);
      values_to = to + pages->page_slots * dim;
      for (Column column = POSITION; column < COLUMN_COUNT; column++)
        if (has_column(pages, head, column)) *column_at(pages, head, column, slot) = 0;
      if (has_column(pages, head, POSITION)) *(uint32_t *)column_at(pages, head, POSITION, slot) = append->positions[row];
    }
    rotate(key, cosines, sines, dim / 2, to);
    __builtin_memcpy(values_to, value, 4 * dim);
  }
}

/* Behind the rows of scratch from `at` on, or without scratch behind the slots of the pages in use, whose number grows. */
EXPORT(append) void append(uint32_t query_heads, uint32_t kv_heads, uint32_t head_dim, float *qkv, const float *rotation,
                           uint32_t rows, float *k, float *v, uint32_t capacity, uint32_t at, const uint32_t *positions) {
  const Append call = {query_heads, kv_heads, head_dim, qkv, rotation, k, v, capacity, at, positions};
  if (rows < 8)
    for (uint32_t row = 0; row < rows; row++) append_row(&call, row, 0);
  else
    run_tasks(append_row, &call, rows);
  if (k == 0)
    for (uint32_t head = 0; head < kv_heads; head++) pages_in_use.lengths[head] += rows;
}
