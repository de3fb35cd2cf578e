/*
 * Products of whole numbers, for weights in q8_0 and q4_0: activations are rounded to eight bits, 32 of them at a time, as
 * llama.cpp does. The sum over 32 elements is exact; then a lane of a result adds up lanes of these sums times both scales, block
 * by block.
 *
 * Rows lie in groups of four, so that memory is one stream: for each block of 32 elements the four rows' whole numbers, then
 * their four scales as halves. Rows that are missing from the last group are zeros.
 */
#ifndef INTEGER_DOTS_H
#define INTEGER_DOTS_H

#include "simd.h"

#define BLOCK 32
#define GROUP 4

typedef enum { Q8_0, Q4_0 } Integers;

/* Bytes of a block's elements in one row. */
INLINE uint32_t block_bytes(Integers integers) { return integers == Q8_0 ? BLOCK : BLOCK / 2; }
/* Bytes of a block of a group. */
INLINE uint32_t group_block_bytes(Integers integers) { return GROUP * (block_bytes(integers) + 2); }

/* A block's elements as 16-bit numbers. */
INLINE void load_block(Integers integers, const uint8_t *from, v128_t to[4]) {
  if (integers == Q8_0) {
    for (uint32_t i = 0; i < 4; i++) to[i] = wasm_i16x8_load8x8(from + 8 * i);
    return;
  }
  /* Byte i has element i below and element i + 16 above. */
  v128_t both = wasm_v128_load(from);
  v128_t zero = wasm_i8x16_const_splat(8);
  v128_t low = wasm_i8x16_sub(wasm_v128_and(both, wasm_i8x16_const_splat(15)), zero);
  v128_t high = wasm_i8x16_sub(wasm_u8x16_shr(both, 4), zero);
  to[0] = wasm_i16x8_extend_low_i8x16(low);
  to[1] = wasm_i16x8_extend_high_i8x16(low);
  to[2] = wasm_i16x8_extend_low_i8x16(high);
  to[3] = wasm_i16x8_extend_high_i8x16(high);
}

/*
 * Rounded rows that lie together, block by block, each block's rows beside one another: few addresses are then worked out for
 * many loads. The last of them may be fewer.
 */
#define ROUNDED 3
/* Widened rows of a weight likewise. */
#define WIDENED 2

INLINE uint32_t rounded_beside(uint32_t row, uint32_t rows) {
  const uint32_t left = rows - row / ROUNDED * ROUNDED;
  return left < ROUNDED ? left : ROUNDED;
}

/* Round a vector's blocks: whole numbers of at most 127, and the scale of each block; those of `beside` vectors lie together. */
static inline void round_activations(const float *x, uint32_t depth, uint32_t beside, int16_t *whole, float *scales) {
  for (uint32_t block = 0; block < depth / BLOCK; block++, x += BLOCK, whole += beside * BLOCK, scales += beside) {
    f32x4 greatest = ZERO;
    for (uint32_t i = 0; i < BLOCK; i += 4) greatest = wasm_f32x4_max(greatest, wasm_f32x4_abs(load4(x + i)));
    greatest = wasm_f32x4_max(greatest, wasm_i32x4_shuffle(greatest, greatest, 2, 3, 0, 1));
    greatest = wasm_f32x4_max(greatest, wasm_i32x4_shuffle(greatest, greatest, 1, 0, 3, 2));
    float scale = wasm_f32x4_extract_lane(greatest, 0) / 127;
    f32x4 inverse = wasm_f32x4_splat(scale == 0 ? 0 : 1 / scale);
    for (uint32_t i = 0; i < BLOCK; i += 8) {
      i32x4 low = wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(wasm_f32x4_mul(load4(x + i), inverse)));
      i32x4 high = wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(wasm_f32x4_mul(load4(x + i + 4), inverse)));
      wasm_v128_store(whole + i, wasm_i16x8_narrow_i32x4(low, high));
    }
    *scales = scale;
  }
}

INLINE f32x4 add_block(const v128_t x[4], const v128_t w[4], f32x4 scale, f32x4 sum) {
  i32x4 exact = wasm_i32x4_add(
      wasm_i32x4_add(wasm_i32x4_dot_i16x8(x[0], w[0]), wasm_i32x4_dot_i16x8(x[1], w[1])),
      wasm_i32x4_add(wasm_i32x4_dot_i16x8(x[2], w[2]), wasm_i32x4_dot_i16x8(x[3], w[3])));
  return multiply_add(wasm_f32x4_convert_i32x4(exact), scale, sum);
}

/* The four results of one of `beside` vectors with a group's rows. */
INLINE f32x4 group_dots(Integers integers, const int16_t *x, const float *scales, uint32_t beside, const uint8_t *group,
                        uint32_t blocks) {
  f32x4 sums[GROUP] = {ZERO, ZERO, ZERO, ZERO};
  const uint32_t row = block_bytes(integers);
  for (uint32_t block = 0; block < blocks;
       block++, x += beside * BLOCK, scales += beside, group += group_block_bytes(integers)) {
    v128_t factors[4] = {wasm_v128_load(x), wasm_v128_load(x + 8), wasm_v128_load(x + 16), wasm_v128_load(x + 24)};
    f32x4 both = wasm_f32x4_mul(load_halves((const uint16_t *)(group + GROUP * row)), splat_at(scales));
    v128_t weights[4];
    load_block(integers, group, weights);
    sums[0] = add_block(factors, weights, wasm_i32x4_shuffle(both, both, 0, 0, 0, 0), sums[0]);
    load_block(integers, group + row, weights);
    sums[1] = add_block(factors, weights, wasm_i32x4_shuffle(both, both, 1, 1, 1, 1), sums[1]);
    load_block(integers, group + 2 * row, weights);
    sums[2] = add_block(factors, weights, wasm_i32x4_shuffle(both, both, 2, 2, 2, 2), sums[2]);
    load_block(integers, group + 3 * row, weights);
    sums[3] = add_block(factors, weights, wasm_i32x4_shuffle(both, both, 3, 3, 3, 3), sums[3]);
  }
  return lane_sums(sums[0], sums[1], sums[2], sums[3]);
}

/* A group's rows as 16-bit numbers and their scales, WIDENED beside one another: for products with many vectors. */
INLINE void widen_group(Integers integers, const uint8_t *group, uint32_t blocks, int16_t *whole, float *scales) {
  const uint32_t row = block_bytes(integers);
  for (uint32_t block = 0; block < blocks; block++, group += group_block_bytes(integers)) {
    float of_rows[GROUP];
    store4(of_rows, load_halves((const uint16_t *)(group + GROUP * row)));
    for (uint32_t j = 0; j < GROUP; j++) {
      const uint32_t place = (j / WIDENED * blocks + block) * WIDENED + j % WIDENED;
      v128_t weights[4];
      load_block(integers, group + j * row, weights);
      for (uint32_t i = 0; i < 4; i++) wasm_v128_store(whole + place * BLOCK + 8 * i, weights[i]);
      scales[place] = of_rows[j];
    }
  }
}

/* Results of `rows` vectors that lie together with WIDENED rows of a weight; their number has to be a constant. */
INLINE void wide_block(uint32_t rows, const int16_t *x, const float *x_scales, const int16_t *w, const float *w_scales,
                       uint32_t blocks, float *out, uint32_t out_stride) {
  f32x4 sums[rows * WIDENED];
  for (uint32_t i = 0; i < rows * WIDENED; i++) sums[i] = ZERO;
  for (uint32_t block = 0; block < blocks;
       block++, x += rows * BLOCK, w += WIDENED * BLOCK, x_scales += rows, w_scales += WIDENED) {
    i32x4 exact[rows * WIDENED];
    for (uint32_t part = 0; part < BLOCK; part += 8) {
      v128_t factors[rows];
      for (uint32_t i = 0; i < rows; i++) factors[i] = wasm_v128_load(x + i * BLOCK + part);
      for (uint32_t j = 0; j < WIDENED; j++) {
        v128_t weights = wasm_v128_load(w + j * BLOCK + part);
        for (uint32_t i = 0; i < rows; i++) {
          i32x4 dot = wasm_i32x4_dot_i16x8(factors[i], weights);
          exact[i * WIDENED + j] = part == 0 ? dot : wasm_i32x4_add(exact[i * WIDENED + j], dot);
        }
      }
    }
    for (uint32_t j = 0; j < WIDENED; j++) {
      f32x4 scale = splat_at(w_scales + j);
      for (uint32_t i = 0; i < rows; i++)
        sums[i * WIDENED + j] = multiply_add(wasm_f32x4_convert_i32x4(exact[i * WIDENED + j]),
                                             wasm_f32x4_mul(scale, splat_at(x_scales + i)), sums[i * WIDENED + j]);
    }
  }
  for (uint32_t i = 0; i < rows; i++)
    for (uint32_t j = 0; j < WIDENED; j++) out[i * out_stride + j] = lane_sum(sums[i * WIDENED + j]);
}

/* out[i][j] for rounded rows i, of whose first a whole number of ROUNDED lie before, with rows j of a widened panel. */
static inline void wide_dots(const int16_t *x, const float *x_scales, uint32_t rows, const int16_t *w, const float *w_scales,
                             uint32_t columns, uint32_t blocks, float *out, uint32_t out_stride) {
  const uint32_t depth = blocks * BLOCK;
  for (uint32_t j = 0; j < columns; j += WIDENED) {
    const int16_t *weights = w + j * depth;
    const float *weight_scales = w_scales + j * blocks;
    for (uint32_t i = 0; i < rows; i += ROUNDED) {
      const int16_t *from = x + i * depth;
      const float *scales = x_scales + i * blocks;
      float *to = out + i * out_stride + j;
      if (rows - i >= 3) wide_block(3, from, scales, weights, weight_scales, blocks, to, out_stride);
      else if (rows - i == 2) wide_block(2, from, scales, weights, weight_scales, blocks, to, out_stride);
      else wide_block(1, from, scales, weights, weight_scales, blocks, to, out_stride);
    }
  }
}

#endif
