/*
 * Products of whole numbers, for weights in q8_0 and q4_0: activations are rounded to eight bits, 32 of them at a time, as
 * llama.cpp does. The sum over 32 elements is exact; a result adds up these sums times both scales, block by block.
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
#define ROUNDED 4

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

/* A block's products, whose lanes are still to be added up. */
INLINE i32x4 block_dots(const v128_t x[4], const v128_t w[4]) {
  return wasm_i32x4_add(wasm_i32x4_add(wasm_i32x4_dot_i16x8(x[0], w[0]), wasm_i32x4_dot_i16x8(x[1], w[1])),
                        wasm_i32x4_add(wasm_i32x4_dot_i16x8(x[2], w[2]), wasm_i32x4_dot_i16x8(x[3], w[3])));
}

/* The lane sums of four vectors of whole numbers. */
INLINE i32x4 whole_lane_sums(i32x4 a, i32x4 b, i32x4 c, i32x4 d) {
  i32x4 ab = wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), wasm_i32x4_shuffle(a, b, 2, 6, 3, 7));
  i32x4 cd = wasm_i32x4_add(wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), wasm_i32x4_shuffle(c, d, 2, 6, 3, 7));
  return wasm_i32x4_add(wasm_i32x4_shuffle(ab, cd, 0, 1, 4, 5), wasm_i32x4_shuffle(ab, cd, 2, 3, 6, 7));
}

/* The four results of one of `beside` vectors with a group's rows. */
INLINE f32x4 group_dots(Integers integers, const int16_t *x, const float *scales, uint32_t beside, const uint8_t *group,
                        uint32_t blocks) {
  f32x4 sum = ZERO;
  const uint32_t row = block_bytes(integers);
  for (uint32_t block = 0; block < blocks;
       block++, x += beside * BLOCK, scales += beside, group += group_block_bytes(integers)) {
    v128_t factors[4] = {wasm_v128_load(x), wasm_v128_load(x + 8), wasm_v128_load(x + 16), wasm_v128_load(x + 24)};
    i32x4 exact[GROUP];
    for (uint32_t j = 0; j < GROUP; j++) {
      v128_t weights[4];
      load_block(integers, group + j * row, weights);
      exact[j] = block_dots(factors, weights);
    }
    f32x4 both = wasm_f32x4_mul(load_halves((const uint16_t *)(group + GROUP * row)), splat_at(scales));
    i32x4 whole = whole_lane_sums(exact[0], exact[1], exact[2], exact[3]);
    sum = multiply_add(wasm_f32x4_convert_i32x4(whole), both, sum);
  }
  return sum;
}

/*
 * A group's rows as 16-bit numbers and their scales, for products with many vectors: of each two elements the four rows' beside
 * one another, so that a lane is a row's and no lanes have to be added up.
 */
INLINE void widen_group(Integers integers, const uint8_t *group, uint32_t blocks, int16_t *whole, float *scales) {
  const uint32_t row = block_bytes(integers);
  for (uint32_t block = 0; block < blocks; block++, group += group_block_bytes(integers), whole += GROUP * BLOCK, scales += GROUP) {
    v128_t of_rows[GROUP][4];
    for (uint32_t j = 0; j < GROUP; j++) load_block(integers, group + j * row, of_rows[j]);
    for (uint32_t part = 0; part < 4; part++) {
      v128_t a = of_rows[0][part], b = of_rows[1][part], c = of_rows[2][part], d = of_rows[3][part];
      v128_t ab = wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), ab2 = wasm_i32x4_shuffle(a, b, 2, 6, 3, 7);
      v128_t cd = wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), cd2 = wasm_i32x4_shuffle(c, d, 2, 6, 3, 7);
      int16_t *to = whole + part * GROUP * 8;
      wasm_v128_store(to, wasm_i32x4_shuffle(ab, cd, 0, 1, 4, 5));
      wasm_v128_store(to + 8, wasm_i32x4_shuffle(ab, cd, 2, 3, 6, 7));
      wasm_v128_store(to + 16, wasm_i32x4_shuffle(ab2, cd2, 0, 1, 4, 5));
      wasm_v128_store(to + 24, wasm_i32x4_shuffle(ab2, cd2, 2, 3, 6, 7));
    }
    store4(scales, load_halves((const uint16_t *)(group + GROUP * row)));
  }
}

/* Results of `rows` vectors that lie together with some widened groups; both numbers have to be constants. */
INLINE void wide_block(uint32_t rows, uint32_t groups, const int16_t *x, const float *x_scales, const int16_t *w,
                       const float *w_scales, uint32_t blocks, float *out, uint32_t out_stride) {
  f32x4 sums[rows * groups];
  for (uint32_t i = 0; i < rows * groups; i++) sums[i] = ZERO;
  const uint32_t group_elements = blocks * GROUP * BLOCK, group_scales = blocks * GROUP;
  for (uint32_t block = 0; block < blocks;
       block++, x += rows * BLOCK, w += GROUP * BLOCK, x_scales += rows, w_scales += GROUP) {
    i32x4 exact[rows * groups];
    for (uint32_t i = 0; i < rows * groups; i++) exact[i] = ZERO;
    /* Unrolled, its sums are added up in an order that needs more registers than there are. */
#pragma clang loop unroll(disable)
    for (uint32_t pair = 0; pair < BLOCK / 2; pair++) {
      v128_t weights[groups];
      for (uint32_t g = 0; g < groups; g++) weights[g] = wasm_v128_load(w + g * group_elements + pair * 8);
      for (uint32_t i = 0; i < rows; i++) {
        v128_t factor = wasm_v128_load32_splat(x + i * BLOCK + pair * 2);
        for (uint32_t g = 0; g < groups; g++) {
          i32x4 dot = wasm_i32x4_dot_i16x8(factor, weights[g]);
          exact[i * groups + g] = wasm_i32x4_add(exact[i * groups + g], dot);
        }
      }
    }
    for (uint32_t g = 0; g < groups; g++) {
      f32x4 scales = load4(w_scales + g * group_scales);
      for (uint32_t i = 0; i < rows; i++)
        sums[i * groups + g] = multiply_add(wasm_f32x4_convert_i32x4(exact[i * groups + g]),
                                            wasm_f32x4_mul(scales, splat_at(x_scales + i)), sums[i * groups + g]);
    }
  }
  for (uint32_t i = 0; i < rows; i++)
    for (uint32_t g = 0; g < groups; g++) store4(out + i * out_stride + g * GROUP, sums[i * groups + g]);
}

/* The same for rows beside one another of which there may be fewer than ROUNDED. */
INLINE void wide_rows(uint32_t rows, uint32_t groups, const int16_t *x, const float *x_scales, const int16_t *w,
                      const float *w_scales, uint32_t blocks, float *out, uint32_t out_stride) {
  if (rows >= 4) wide_block(4, groups, x, x_scales, w, w_scales, blocks, out, out_stride);
  else if (rows == 3) wide_block(3, groups, x, x_scales, w, w_scales, blocks, out, out_stride);
  else if (rows == 2) wide_block(2, groups, x, x_scales, w, w_scales, blocks, out, out_stride);
  else wide_block(1, groups, x, x_scales, w, w_scales, blocks, out, out_stride);
}

/* out[i][j] for rounded rows i, of whose first a whole number of ROUNDED lie before, with rows j of a widened panel. */
static inline void wide_dots(const int16_t *x, const float *x_scales, uint32_t rows, const int16_t *w, const float *w_scales,
                             uint32_t groups, uint32_t blocks, float *out, uint32_t out_stride) {
  const uint32_t depth = blocks * BLOCK;
  for (uint32_t g = 0; g < groups; g += 2) {
    const int16_t *weights = w + g * GROUP * depth;
    const float *weight_scales = w_scales + g * GROUP * blocks;
    for (uint32_t i = 0; i < rows; i += ROUNDED) {
      const int16_t *from = x + i * depth;
      const float *scales = x_scales + i * blocks;
      float *to = out + i * out_stride + g * GROUP;
      if (groups - g >= 2) wide_rows(rows - i, 2, from, scales, weights, weight_scales, blocks, to, out_stride);
      else wide_rows(rows - i, 1, from, scales, weights, weight_scales, blocks, to, out_stride);
    }
  }
}

#endif
