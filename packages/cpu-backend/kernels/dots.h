/*
 * The inner kernel of products of floats: out[i][j] = Σₖ x[i][k] · w[j][k].
 *
 * Lane l of a sum adds up k = l, l + 4, … in order; then the lanes are added, then what is behind the last whole vector. So a
 * result depends on its two vectors alone, and never on how many others are computed beside it.
 */
#ifndef DOTS_H
#define DOTS_H

#include "simd.h"

/* How the elements of w are stored. SMALL_F16 are halves that are read divided by HALF_BIAS. */
typedef enum { F32, F16, BF16, SMALL_F16 } Floats;

INLINE uint32_t float_bytes(Floats floats) { return floats == F32 ? 4 : 2; }

INLINE f32x4 load_floats(Floats floats, const uint8_t *row, uint32_t k) {
  switch (floats) {
    case F32: return load4((const float *)row + k);
    case F16: return load_halves((const uint16_t *)row + k);
    case BF16: return load_bfloats((const uint16_t *)row + k);
    case SMALL_F16: return load_small_halves((const uint16_t *)row + k);
  }
}

INLINE float float_at(Floats floats, const uint8_t *row, uint32_t k) {
  switch (floats) {
    case F32: return ((const float *)row)[k];
    case F16: return half_at((const uint16_t *)row + k);
    case BF16: return bfloat_at((const uint16_t *)row + k);
    case SMALL_F16: return half_at((const uint16_t *)row + k) * (1 / HALF_BIAS);
  }
}

/* Sums of `rows` vectors of x with `columns` of w, in registers: their number has to be a constant, of at most eight. */
INLINE void dots_block(Floats floats, uint32_t rows, uint32_t columns, const float *x, uint32_t x_stride, const uint8_t *w,
                       uint32_t w_bytes, uint32_t depth, float *out, uint32_t out_row, uint32_t out_column) {
  f32x4 sums[rows * columns];
  for (uint32_t i = 0; i < rows * columns; i++) sums[i] = cleared();
  uint32_t k = 0;
  for (; k + 4 <= depth; k += 4) {
    f32x4 factors[rows];
    for (uint32_t i = 0; i < rows; i++) factors[i] = load4(x + i * x_stride + k);
    for (uint32_t j = 0; j < columns; j++) {
      f32x4 weight = load_floats(floats, w + j * w_bytes, k);
      for (uint32_t i = 0; i < rows; i++) sums[i * columns + j] = multiply_add(factors[i], weight, sums[i * columns + j]);
    }
  }
  for (uint32_t i = 0; i < rows; i++) {
    for (uint32_t j = 0; j < columns; j++) {
      float sum = lane_sum(sums[i * columns + j]);
      for (uint32_t rest = k; rest < depth; rest++) sum += x[i * x_stride + rest] * float_at(floats, w + j * w_bytes, rest);
      out[i * out_row + j * out_column] = sum;
    }
  }
}

/* Rows of x with a few of w, whose number is a constant: two at a time, which with four of w is what registers hold. */
INLINE void dots_beside(uint32_t columns, const float *x, uint32_t x_stride, uint32_t rows, const float *w, uint32_t w_stride,
                        uint32_t depth, float *out, uint32_t out_stride) {
  const uint8_t *weights = (const uint8_t *)w;
  uint32_t i = 0;
  for (; i + 2 <= rows; i += 2)
    dots_block(F32, 2, columns, x + i * x_stride, x_stride, weights, 4 * w_stride, depth, out + i * out_stride, out_stride, 1);
  if (i < rows) dots_block(F32, 1, columns, x + i * x_stride, x_stride, weights, 4 * w_stride, depth, out + i * out_stride, 0, 1);
}

/* out[i][j] for rows i of x with rows j of w, both f32. */
static inline void dots(const float *x, uint32_t x_stride, uint32_t rows, const float *w, uint32_t w_stride, uint32_t columns,
                        uint32_t depth, float *out, uint32_t out_stride) {
  uint32_t j = 0;
  for (; j + 4 <= columns; j += 4)
    dots_beside(4, x, x_stride, rows, w + j * w_stride, w_stride, depth, out + j, out_stride);
  for (; j < columns; j++) dots_beside(1, x, x_stride, rows, w + j * w_stride, w_stride, depth, out + j, out_stride);
}

/*
 * out[j] for one vector with `count` rows of w that lie one behind the other. Four rows are read at a time, a quarter of all of
 * them apart: memory streams best where each stream is long.
 */
INLINE void dots_of_one(Floats floats, const float *x, const uint8_t *w, uint32_t w_bytes, uint32_t count, uint32_t depth,
                        float *out) {
  const uint32_t quarter = count / 4;
  for (uint32_t j = 0; j < quarter; j++)
    dots_block(floats, 1, 4, x, 0, w + j * w_bytes, quarter * w_bytes, depth, out + j, 0, quarter);
  for (uint32_t j = 4 * quarter; j < count; j++) dots_block(floats, 1, 1, x, 0, w + j * w_bytes, w_bytes, depth, out + j, 0, 1);
}

#endif
