/*
 * out = softmax(scale · q·kᵀ) · v, in chunks of columns: each has its greatest score, the sum of exponentials and the values
 * weighted with them; then the chunks are merged in order (FlashAttention, arXiv 2205.14135, section 3.1).
 */
#include "attend.h"

/* What a partial has beside its values: the greatest score, and the sum. */
#define PARTIAL 2

static const float NEGATIVE_INFINITY = -__builtin_inff();

/* Columns that lie one behind the other. */
typedef struct {
  const float *k, *v;
  uint32_t count;
} Run;

/* A chunk of quantised slots is widened into the thread's work memory: keys, then values. */
static void widen_slots(const Attend *attend, uint32_t head, uint32_t from, uint32_t to, float *keys, float *values) {
  const Pages *pages = attend->pages;
  for (uint32_t slot = from; slot < to; slot++, keys += attend->head_dim, values += attend->head_dim) {
    const uint32_t *key = slot_key(pages, head, slot);
    read_kv_row(pages->form, key, attend->head_dim, keys);
    read_kv_row(pages->form, key + pages->page_slots * pages->row_words, attend->head_dim, values);
  }
}

static Run run_at(const Attend *attend, uint32_t head, uint32_t column, uint32_t first, const float *widened) {
  const uint32_t dim = attend->head_dim;
  const uint32_t kept = kept_of(attend, head);
  if (column < kept) {
    const Pages *pages = attend->pages;
    if (pages->form != KV_F32) {
      const float *keys = widened + (column - first) * dim;
      return (Run){keys, keys + CHUNK * dim, kept - column};
    }
    const float *key = (const float *)slot_key(pages, head, column);
    const uint32_t left = pages->page_slots - column % pages->page_slots;
    return (Run){key, key + pages->page_slots * dim, least(left, kept - column)};
  }
  const bool before = column - kept < attend->context.count;
  const Scratch *scratch = before ? &attend->context : &attend->own;
  const uint32_t row = column - kept - (before ? 0 : attend->context.count);
  const uint32_t at = (head * scratch->capacity + scratch->start + row) * dim;
  return (Run){scratch->k + at, scratch->v + at, before ? scratch->count - row : 0xffffffffu};
}

/* Scores of one vector or of two with four keys. */
INLINE void scores_of_four(uint32_t vectors, const float *const q[], const float *k, uint32_t dim, float *const to[]) {
  f32x4 sums[vectors * 4];
  for (uint32_t i = 0; i < vectors * 4; i++) sums[i] = ZERO;
  for (uint32_t d = 0; d < dim; d += 4) {
    f32x4 factors[vectors];
    for (uint32_t v = 0; v < vectors; v++) factors[v] = load4(q[v] + d);
    for (uint32_t j = 0; j < 4; j++) {
      f32x4 key = load4(k + j * dim + d);
      for (uint32_t v = 0; v < vectors; v++) sums[v * 4 + j] = multiply_add(factors[v], key, sums[v * 4 + j]);
    }
  }
  for (uint32_t v = 0; v < vectors; v++)
    store4(to[v], lane_sums(sums[v * 4], sums[v * 4 + 1], sums[v * 4 + 2], sums[v * 4 + 3]));
}

/* Bytes of a cache line: of every machine's that matters here. */
#define LINE_BYTES 64

/* Keys whose lines, and whose values', are read before they are used. */
#define TOUCHED 16

/*
 * Read memory into the nearer caches without waiting for it. Keys are multiplied four at a time, and values a few elements of
 * each at a time: patterns that memory delivers more slowly than a single stream.
 */
INLINE void touch(const float *floats, uint32_t count) {
  const volatile uint8_t *bytes = (const volatile uint8_t *)floats;
  for (uint32_t i = 0; i < 4 * count; i += LINE_BYTES) (void)bytes[i];
}

static float score_of(const float *q, const float *k, uint32_t dim) {
  f32x4 sum = ZERO;
  uint32_t d = 0;
  for (; d + 4 <= dim; d += 4) sum = multiply_add(load4(q + d), load4(k + d), sum);
  float score = lane_sum(sum);
  for (; d < dim; d++) score += q[d] * k[d];
  return score;
}

/* Scores of vectors `q` apart by rows with the keys of a run. */
static void score_run(const Attend *attend, uint32_t head, uint32_t row, uint32_t rows, const float *keys,
                      const float *values, uint32_t count, float *scores, uint32_t stride) {
  const uint32_t dim = attend->head_dim, group = attend->group;
  const uint32_t vectors = rows * group;
  const float *first = attend->q + (attend->start + row) * attend->q_stride + head * group * dim;
  uint32_t key = 0;
  if (dim % 4 == 0) {
    for (; key + 4 <= count; key += 4) {
      if (rows <= 2 && key % TOUCHED == 0) {
        const uint32_t ahead = least(TOUCHED, count - key) * dim;
        touch(keys + key * dim, ahead);
        touch(values + key * dim, ahead);
      }
      uint32_t v = 0;
      for (; v + 2 <= vectors; v += 2) {
        const uint32_t w = v + 1;
        const float *q[] = {first + v / group * attend->q_stride + v % group * dim,
                            first + w / group * attend->q_stride + w % group * dim};
        float *to[] = {scores + v * stride + key, scores + w * stride + key};
        scores_of_four(2, q, keys + key * dim, dim, to);
      }
      if (v < vectors) {
        const float *q[] = {first + v / group * attend->q_stride + v % group * dim};
        float *to[] = {scores + v * stride + key};
        scores_of_four(1, q, keys + key * dim, dim, to);
      }
    }
  }
  for (; key < count; key++)
    for (uint32_t v = 0; v < vectors; v++)
      scores[v * stride + key] = score_of(first + v / group * attend->q_stride + v % group * dim, keys + key * dim, dim);
}

/* Turn the first `count` scores into exponentials, in place, and give their greatest and their sum. */
static void soften(const Attend *attend, uint32_t head, uint32_t row, uint32_t column, uint32_t count, float *scores,
                   float *greatest, float *sum) {
  const f32x4 scale = wasm_f32x4_splat(attend->scale);
  const f32x4 lowest = wasm_f32x4_splat(NEGATIVE_INFINITY);
  const i32x4 lanes = wasm_i32x4_make(0, 1, 2, 3);
  const int32_t oldest = (int32_t)row - (int32_t)attend->window;
  const int32_t *distances = attend->window == 0 ? 0 : attend->distances + head * attend->distance_stride + column;
  f32x4 top = lowest;
  for (uint32_t j = 0; j < count; j += 4) {
    f32x4 four = wasm_f32x4_mul(load4(scores + j), scale);
    if (attend->soft_cap > 0) {
      f32x4 cap = wasm_f32x4_splat(attend->soft_cap);
      four = wasm_f32x4_mul(cap, hyperbolic_tangent(wasm_f32x4_div(four, cap)));
    }
    if (distances != 0) four = wasm_v128_bitselect(lowest, four, wasm_i32x4_le(wasm_v128_load(distances + j), wasm_i32x4_splat(oldest)));
    if (count - j < 4) four = wasm_v128_bitselect(four, lowest, wasm_i32x4_lt(lanes, wasm_i32x4_splat((int32_t)(count - j))));
    store4(scores + j, four);
    top = wasm_f32x4_pmax(top, four);
  }
  *greatest = greatest_lane(top);
  const f32x4 base = wasm_f32x4_splat(*greatest == NEGATIVE_INFINITY ? 0 : *greatest);
  f32x4 total = ZERO;
  for (uint32_t j = 0; j < count; j += 4) {
    f32x4 four = exponential(wasm_f32x4_sub(load4(scores + j), base));
    store4(scores + j, four);
    total = wasm_f32x4_add(total, four);
  }
  *sum = lane_sum(total);
}

/* Add weighted values of a run to `count` vectors' sums of 16 elements: as many as registers hold for two vectors. */
INLINE void add_values(uint32_t vectors, const float *weights, uint32_t stride, const float *values, uint32_t dim, uint32_t count,
                       float *sums) {
  f32x4 sum[vectors * 4];
  for (uint32_t i = 0; i < vectors * 4; i++) sum[i] = load4(sums + i / 4 * dim + i % 4 * 4);
  for (uint32_t j = 0; j < count; j++, values += dim) {
    f32x4 value[4] = {load4(values), load4(values + 4), load4(values + 8), load4(values + 12)};
    for (uint32_t v = 0; v < vectors; v++) {
      f32x4 weight = splat_at(weights + v * stride + j);
      for (uint32_t i = 0; i < 4; i++) sum[v * 4 + i] = multiply_add(weight, value[i], sum[v * 4 + i]);
    }
  }
  for (uint32_t i = 0; i < vectors * 4; i++) store4(sums + i / 4 * dim + i % 4 * 4, sum[i]);
}

static void add_run(const float *weights, uint32_t stride, uint32_t vectors, const float *values, uint32_t dim, uint32_t count,
                    float *sums) {
  uint32_t d = 0;
  for (; d + 16 <= dim; d += 16) {
    uint32_t v = 0;
    for (; v + 2 <= vectors; v += 2) add_values(2, weights + v * stride, stride, values + d, dim, count, sums + v * dim + d);
    if (v < vectors) add_values(1, weights + v * stride, stride, values + d, dim, count, sums + v * dim + d);
  }
  for (; d < dim; d++)
    for (uint32_t v = 0; v < vectors; v++) {
      float sum = sums[v * dim + d];
      for (uint32_t j = 0; j < count; j++) sum = multiply_add_one(weights[v * stride + j], values[j * dim + d], sum);
      sums[v * dim + d] = sum;
    }
}

/* Attend one chunk of one head with some rows: tops [vectors][PARTIAL], values [vectors][head_dim]. */
static void attend_chunk(const Attend *attend, uint32_t head, uint32_t row, uint32_t rows, uint32_t chunk, float *scores,
                         uint32_t stride, float *tops, float *values, float *widened) {
  const uint32_t dim = attend->head_dim, group = attend->group;
  const uint32_t from = chunk * CHUNK;
  const uint32_t to = least(from + CHUNK, visible_to(attend, head, row + rows - 1));
  const uint32_t seen_by_all = least(to, most(from, visible_to(attend, head, row)));
  const uint32_t kept = kept_of(attend, head);
  if (attend->pages != 0 && attend->pages->form != KV_F32 && from < kept)
    widen_slots(attend, head, from, least(to, kept), widened, widened + CHUNK * dim);
  for (uint32_t column = from; column < to;) {
    Run run = run_at(attend, head, column, from, widened);
    const uint32_t count = least(run.count, to - column);
    score_run(attend, head, row, rows, run.k, run.v, count, scores + column - from, stride);
    column += count;
  }
  for (uint32_t v = 0; v < rows * group; v++) {
    const uint32_t seen = least(to, visible_to(attend, head, row + v / group));
    soften(attend, head, row + v / group, from, seen > from ? seen - from : 0, scores + v * stride, tops + 2 * v, tops + 2 * v + 1);
  }
  for (uint32_t i = 0; i < rows * group * dim; i++) values[i] = 0;
  for (uint32_t column = from; column < seen_by_all;) {
    Run run = run_at(attend, head, column, from, widened);
    const uint32_t count = least(run.count, seen_by_all - column);
    add_run(scores + column - from, stride, rows * group, run.v, dim, count, values);
    column += count;
  }
  /* What only some rows see must not even be multiplied by 0 in the others: it may not be a number. */
  for (uint32_t i = 1; i < rows; i++) {
    const uint32_t seen = least(to, visible_to(attend, head, row + i));
    for (uint32_t column = seen_by_all; column < seen;) {
      Run run = run_at(attend, head, column, from, widened);
      const uint32_t count = least(run.count, seen - column);
      add_run(scores + i * group * stride + column - from, stride, group, run.v, dim, count, values + i * group * dim);
      column += count;
    }
  }
}

/* Add what a chunk found to a vector's state: its greatest score, sum and values. */
static void merge(float *state, float *values, const float *top, const float *more, uint32_t dim) {
  if (top[0] == NEGATIVE_INFINITY && top[1] == 0) return;
  const float greatest = state[0] > top[0] ? state[0] : top[0];
  const float old = exponential_of(state[0] - greatest), fresh = exponential_of(top[0] - greatest);
  state[0] = greatest;
  state[1] = state[1] * old + top[1] * fresh;
  for (uint32_t d = 0; d < dim; d++) values[d] = values[d] * old + more[d] * fresh;
}

static void clear_state(float *states, float *values, uint32_t vectors, uint32_t dim) {
  for (uint32_t v = 0; v < vectors; v++) {
    states[2 * v] = NEGATIVE_INFINITY;
    states[2 * v + 1] = 0;
  }
  for (uint32_t i = 0; i < vectors * dim; i++) values[i] = 0;
}

/* Write a tile's outputs; where weights are asked for, exponentials become them. */
static void finish_tile(const Attend *attend, uint32_t head, uint32_t row, uint32_t rows, const float *states, const float *values) {
  const uint32_t dim = attend->head_dim, group = attend->group;
  for (uint32_t v = 0; v < rows * group; v++) {
    const float inverse = states[2 * v + 1] == 0 ? 0 : 1 / states[2 * v + 1];
    float *out = attend->out + (attend->start + row + v / group) * attend->out_stride + (head * group + v % group) * dim;
    for (uint32_t d = 0; d < dim; d++) out[d] = values[v * dim + d] * inverse;
    if (attend->weights == 0) continue;
    const uint32_t vector = (head * attend->count + row - attend->from) * group + v;
    float *weights = attend->weights + vector * attend->weight_stride;
    const uint32_t seen = visible_to(attend, head, row + v / group);
    for (uint32_t from = 0, chunk = 0; from < seen; from += CHUNK, chunk++) {
      const float top = attend->chunk_greatest[vector * attend->chunks + chunk];
      /* A chunk in which nothing is seen has only zeros. */
      const f32x4 factor = wasm_f32x4_splat(top == NEGATIVE_INFINITY ? inverse : exponential_of(top - states[2 * v]) * inverse);
      const uint32_t end = least(from + CHUNK, seen);
      for (uint32_t j = from; j < end; j += 4) store4(weights + j, wasm_f32x4_mul(load4(weights + j), factor));
    }
  }
}

/* What a thread works in: scores, tops and values of a chunk, states and values of a tile, a widened chunk. */
typedef struct {
  float *scores, *tops, *values, *states, *sums, *widened;
} Work;

static Work work_of(const Attend *attend, uint32_t thread) {
  const uint32_t vectors = attend->tile_rows * attend->group;
  Work work;
  work.scores = (float *)(attend->work + thread * attend->work_bytes);
  work.tops = work.scores + vectors * CHUNK;
  work.values = work.tops + 2 * vectors;
  work.states = work.values + vectors * attend->head_dim;
  work.sums = work.states + 2 * vectors;
  work.widened = work.sums + vectors * attend->head_dim;
  return work;
}

/* Bytes of it. */
EXPORT(attend_work) uint32_t attend_work(uint32_t tile_rows, uint32_t group, uint32_t head_dim) {
  const uint32_t vectors = tile_rows * group;
  return 4 * (vectors * (CHUNK + 4 + 2 * head_dim) + 2 * CHUNK * head_dim) + 64;
}

/* Where a chunk's exponentials go, and how far its vectors are apart. */
INLINE float *chunk_scores(const Attend *attend, uint32_t head, uint32_t row, uint32_t chunk, const Work *work, uint32_t *stride) {
  *stride = attend->weights == 0 ? CHUNK : attend->weight_stride;
  return attend->weights == 0 ? work->scores : weights_of(attend, head, row - attend->from) + chunk * CHUNK;
}

static void keep_tops(const Attend *attend, uint32_t head, uint32_t row, uint32_t vectors, uint32_t chunk, const float *tops) {
  if (attend->weights == 0) return;
  const uint32_t first = (head * attend->count + row - attend->from) * attend->group;
  for (uint32_t v = 0; v < vectors; v++) attend->chunk_greatest[(first + v) * attend->chunks + chunk] = tops[2 * v];
}

/* All chunks of a head with a tile's rows. */
static void tile_task(const void *arguments, uint32_t task, uint32_t thread) {
  const Attend *attend = arguments;
  const uint32_t tiles = parts_of(attend->count, attend->tile_rows);
  /* The last rows see most: they begin first. */
  const uint32_t head = task % attend->kv_heads, tile = tiles - 1 - task / attend->kv_heads;
  const uint32_t row = attend->from + tile * attend->tile_rows;
  const uint32_t rows = least(attend->tile_rows, attend->from + attend->count - row);
  const uint32_t vectors = rows * attend->group, dim = attend->head_dim;
  const Work work = work_of(attend, thread);
  clear_state(work.states, work.sums, vectors, dim);
  for (uint32_t chunk = 0; chunk < parts_of(visible_to(attend, head, row + rows - 1), CHUNK); chunk++) {
    uint32_t stride;
    float *scores = chunk_scores(attend, head, row, chunk, &work, &stride);
    attend_chunk(attend, head, row, rows, chunk, scores, stride, work.tops, work.values, work.widened);
    keep_tops(attend, head, row, vectors, chunk, work.tops);
    for (uint32_t v = 0; v < vectors; v++)
      merge(work.states + 2 * v, work.sums + v * dim, work.tops + 2 * v, work.values + v * dim, dim);
  }
  finish_tile(attend, head, row, rows, work.states, work.sums);
}

INLINE float *partial_of(const Attend *attend, uint32_t tile, uint32_t chunk) {
  return attend->partials + (tile * attend->chunks + chunk) * attend->tile_rows * attend->group * (PARTIAL + attend->head_dim);
}

/* One chunk of one head with a tile's rows; merged by `merge_task`. */
static void chunk_task(const void *arguments, uint32_t task, uint32_t thread) {
  const Attend *attend = arguments;
  const uint32_t chunk = task % attend->chunks, tile = task / attend->chunks;
  const uint32_t head = tile % attend->kv_heads;
  const uint32_t row = attend->from + tile / attend->kv_heads * attend->tile_rows;
  const uint32_t rows = least(attend->tile_rows, attend->from + attend->count - row);
  if (chunk >= parts_of(visible_to(attend, head, row + rows - 1), CHUNK)) return;
  const Work work = work_of(attend, thread);
  uint32_t stride;
  float *scores = chunk_scores(attend, head, row, chunk, &work, &stride);
  float *tops = partial_of(attend, tile, chunk);
  attend_chunk(attend, head, row, rows, chunk, scores, stride, tops, tops + PARTIAL * rows * attend->group, work.widened);
  keep_tops(attend, head, row, rows * attend->group, chunk, tops);
}

static void merge_task(const void *arguments, uint32_t tile, uint32_t thread) {
  const Attend *attend = arguments;
  const uint32_t head = tile % attend->kv_heads, dim = attend->head_dim;
  const uint32_t row = attend->from + tile / attend->kv_heads * attend->tile_rows;
  const uint32_t rows = least(attend->tile_rows, attend->from + attend->count - row);
  const uint32_t vectors = rows * attend->group;
  const Work work = work_of(attend, thread);
  clear_state(work.states, work.sums, vectors, dim);
  for (uint32_t chunk = 0; chunk < parts_of(visible_to(attend, head, row + rows - 1), CHUNK); chunk++) {
    const float *tops = partial_of(attend, tile, chunk);
    for (uint32_t v = 0; v < vectors; v++)
      merge(work.states + 2 * v, work.sums + v * dim, tops + 2 * v, tops + PARTIAL * vectors + v * dim, dim);
  }
  finish_tile(attend, head, row, rows, work.states, work.sums);
}

Attend attend_in_use;

EXPORT(attend_heads) void attend_heads(uint32_t kv_heads, uint32_t group, uint32_t head_dim, float scale, float soft_cap,
                                       uint32_t window, const float *q, uint32_t q_stride, float *out, uint32_t out_stride) {
  attend_in_use = (Attend){.kv_heads = kv_heads, .group = group, .head_dim = head_dim, .scale = scale, .soft_cap = soft_cap,
                           .window = window, .q = q, .q_stride = q_stride, .out = out, .out_stride = out_stride};
}

EXPORT(attend_context) void attend_context(const float *k, const float *v, uint32_t capacity, uint32_t start, uint32_t count) {
  attend_in_use.context = (Scratch){k, v, capacity, start, count};
}

EXPORT(attend_own) void attend_own(const float *k, const float *v, uint32_t capacity, uint32_t start, uint32_t count) {
  attend_in_use.own = (Scratch){k, v, capacity, start, count};
}

/* The group's rows, its columns' distances where there is a window, and how many rows are attended in a task. */
EXPORT(attend_group) void attend_group(uint32_t start, uint32_t count, uint32_t appended, const int32_t *distances,
                                       uint32_t distance_stride, uint32_t tile_rows, uint8_t *work, uint32_t work_bytes) {
  Attend *attend = &attend_in_use;
  attend->pages = pages_in_use.slabs == 0 ? 0 : &pages_in_use;
  attend->start = start;
  attend->group_count = count;
  attend->appended = appended;
  attend->distances = distances;
  attend->distance_stride = distance_stride;
  attend->tile_rows = tile_rows;
  attend->work = work;
  attend->work_bytes = work_bytes;
}

/* Columns that are attended at a time. */
EXPORT(attend_chunk_columns) uint32_t attend_chunk_columns(void) { return CHUNK; }

/* Bytes for the partials of so many rows of the heads in use: 0 where tiles are tasks enough. */
EXPORT(attend_partials) uint32_t attend_partials(uint32_t count, uint32_t columns, uint32_t tile_rows) {
  const Attend *attend = &attend_in_use;
  const uint32_t tiles = attend->kv_heads * parts_of(count, tile_rows), chunks = parts_of(columns, CHUNK);
  if (thread_count() == 1 || tiles >= 4 * thread_count() || chunks < 2) return 0;
  return 4 * tiles * chunks * tile_rows * attend->group * (PARTIAL + attend->head_dim);
}

/*
 * Attend rows `from` .. `from + count` of the group, none of which sees more than `columns`. With `weights` each vector's
 * weights are left there.
 */
EXPORT(attend) void attend(uint32_t from, uint32_t count, uint32_t columns, float *weights, uint32_t weight_stride,
                           float *chunk_greatest, float *partials) {
  Attend *attend = &attend_in_use;
  attend->from = from;
  attend->count = count;
  attend->weights = weights;
  attend->weight_stride = weight_stride;
  attend->chunk_greatest = chunk_greatest;
  attend->chunks = parts_of(columns, CHUNK);
  attend->partials = partials;
  const uint32_t tiles = attend->kv_heads * parts_of(count, attend->tile_rows);
  if (partials == 0) {
    run_tasks(tile_task, attend, tiles);
    return;
  }
  run_tasks(chunk_task, attend, tiles * attend->chunks);
  run_tasks(merge_task, attend, tiles);
}
