/* What an attention is about, for its parts: the chunks of a row, their merge, and what is recorded of the weights. */
#ifndef ATTEND_H
#define ATTEND_H

#include "pages.h"
#include "tasks.h"

/*
 * Columns that are attended at a time. A row's columns are cut at multiples of this, wherever they lie and however many rows
 * and threads there are: so its result depends on its own columns alone.
 */
#define CHUNK 256

/* Rows of keys and of values of one KV head. */
typedef struct {
  const float *k, *v;
  /* Rows of a head, and the first that is seen. */
  uint32_t capacity, start, count;
} Scratch;

typedef struct {
  uint32_t kv_heads, group, head_dim;
  float scale, soft_cap;
  /* Rows see positions less than this behind their own; 0 for all. */
  uint32_t window;
  const float *q;
  uint32_t q_stride;
  float *out;
  uint32_t out_stride;
  const Pages *pages;
  Scratch context, own;
  /* The group's first row, within q and out, and the rows of this call, from `from` on counted from there. */
  uint32_t start, from, count;
  uint32_t appended, group_count;
  /* By head and column, position minus that of the group's first row: [kv_heads][columns]; for a window. */
  const int32_t *distances;
  uint32_t distance_stride;
  /* Weights of these rows, [kv_heads][count · group][weight_stride]; null where nobody asks for them. */
  float *weights;
  uint32_t weight_stride;
  /* [kv_heads][count · group][chunks]: the greatest score of each chunk. */
  float *chunk_greatest;
  uint32_t chunks;
  /* Of each chunk what it adds up to, where chunks are tasks: for each tile and chunk the tops of its vectors, then their values. */
  float *partials;
  uint32_t tile_rows;
  uint8_t *work;
  uint32_t work_bytes;
} Attend;

/* Slots of a head, and how many columns row `row` of the group sees. */
INLINE uint32_t kept_of(const Attend *attend, uint32_t head) { return attend->pages == 0 ? 0 : attend->pages->lengths[head]; }

INLINE uint32_t visible_to(const Attend *attend, uint32_t head, uint32_t row) {
  const uint32_t kept = kept_of(attend, head);
  if (attend->appended > 0) {
    const uint32_t hidden = attend->appended - 1 - row;
    return kept > hidden ? kept - hidden : 0;
  }
  return kept + attend->context.count + (attend->own.k == 0 ? 0 : row + 1);
}

/* The first vector of the weights of a row of this call. */
INLINE float *weights_of(const Attend *attend, uint32_t head, uint32_t row) {
  return attend->weights + (head * attend->count + row) * attend->group * attend->weight_stride;
}

#endif
