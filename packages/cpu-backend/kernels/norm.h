/* Root mean square norm (arXiv 1910.07467, equation 4). */
#ifndef NORM_H
#define NORM_H

#include "simd.h"

/* 1 / sqrt(mean(x²) + epsilon) */
static inline float inverse_root_mean(const float *x, uint32_t width, float epsilon) {
  f32x4 squares[2] = {ZERO, ZERO};
  uint32_t i = 0;
  for (; i + 8 <= width; i += 8) {
    f32x4 low = load4(x + i), high = load4(x + i + 4);
    squares[0] = multiply_add(low, low, squares[0]);
    squares[1] = multiply_add(high, high, squares[1]);
  }
  float sum = lane_sum(wasm_f32x4_add(squares[0], squares[1]));
  for (; i < width; i++) sum += x[i] * x[i];
  return 1 / __builtin_sqrtf(sum / (float)width + epsilon);
}

/* to = x · inverse · weight; without a weight x as it is. `to` may be x. */
static inline void norm_row(const float *x, const float *weight, float inverse, uint32_t width, float *to) {
  if (weight == 0) {
    if (to != x) __builtin_memcpy(to, x, 4 * width);
    return;
  }
  f32x4 factor = wasm_f32x4_splat(inverse);
  uint32_t i = 0;
  for (; i + 4 <= width; i += 4) store4(to + i, wasm_f32x4_mul(wasm_f32x4_mul(load4(x + i), factor), load4(weight + i)));
  for (; i < width; i++) to[i] = x[i] * inverse * weight[i];
}

#endif
