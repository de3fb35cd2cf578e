/*
 * Products of whole numbers, for weights in q8_0 and q4_0: activations are rounded to eight bits, 32 of them at a time, as
 * llama.cpp does. The sum over 32 elements is exact; a result adds up these sums times both scales, block by block.
 *
 * Rows lie in groups of four, so that memory is one stream: for each block of 32 elements the four rows' whole numbers, then
 * their four scales as halves. Rows that are missing from the last group are zeros.
 */
#ifndef INTEGER_DOTS_H
#define INTEGER_DOTS_H

#include "byte-dots.h"

#define BLOCK 32
#define GROUP 4

typedef enum { Q8_0, Q4_0 } Integers;
/* What products are taken of: 16-bit numbers, or bytes where `byte-dots.h` found those to be exact. */
typedef enum { WORDS, BYTES } Lanes;
/* Of a vector's elements four bytes are multiplied at a time. */
#define STEP_BYTES 4

INLINE uint32_t element_bytes(Lanes lanes) { return lanes == BYTES ? 1 : 2; }
/* Bytes of a vector's block, and steps in it. */
INLINE uint32_t rounded_bytes(Lanes lanes) { return BLOCK * element_bytes(lanes); }
INLINE uint32_t steps_of(Lanes lanes) { return rounded_bytes(lanes) / STEP_BYTES; }

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

/* What is taken off a weight's bytes, which have it added so that they are not negative. */
INLINE int32_t zero_of(Integers integers) { return integers == Q4_0 ? 8 : byte_zero(); }

/* Whether products are taken of bytes. */
INLINE bool has_bytes(Integers integers) { return byte_dots >= (integers == Q4_0 ? NIBBLES : UNSIGNED_BYTES); }

/* A block's elements as bytes for `byte_dot`: not less by `zero_of` yet. */
INLINE void load_bytes(Integers integers, const uint8_t *from, v128_t to[2]) {
  v128_t first = wasm_v128_load(from);
  if (integers == Q8_0) {
    v128_t flip = wasm_i8x16_splat((int8_t)byte_zero());
    to[0] = wasm_v128_xor(first, flip);
    to[1] = wasm_v128_xor(wasm_v128_load(from + 16), flip);
  } else {
    to[0] = wasm_v128_and(first, wasm_i8x16_const_splat(15));
    to[1] = wasm_u8x16_shr(first, 4);
  }
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

/* Vectors as products of whole numbers take them: where a block of the first of them lies. */
typedef struct {
  uint8_t *whole;
  /* By which a block's whole numbers are multiplied, and with BYTES what their product with any weight begins with. */
  float *scales;
  int32_t *offsets;
} Rounded;

/* From one block to the next, of `beside` vectors. */
INLINE Rounded next_block(Lanes lanes, Rounded at, uint32_t beside) {
  return (Rounded){at.whole + beside * rounded_bytes(lanes), at.scales + beside, at.offsets + beside};
}

/* Vector number `row` of those that begin there, each of `blocks` blocks. */
INLINE Rounded rounded_at(Lanes lanes, Rounded first, uint32_t row, uint32_t blocks) {
  const uint32_t before = row / ROUNDED * ROUNDED, place = row - before;
  return (Rounded){first.whole + (before * blocks + place) * rounded_bytes(lanes), first.scales + before * blocks + place,
                   first.offsets + before * blocks + place};
}

/* Round a vector's blocks: whole numbers of at most 127, and the scale of each block; those of `beside` vectors lie together. */
INLINE void round_activations(Lanes lanes, Integers integers, const float *x, uint32_t blocks, uint32_t beside, Rounded to) {
  for (uint32_t block = 0; block < blocks; block++, x += BLOCK, to = next_block(lanes, to, beside)) {
    f32x4 greatest = ZERO;
    for (uint32_t i = 0; i < BLOCK; i += 4) greatest = wasm_f32x4_max(greatest, wasm_f32x4_abs(load4(x + i)));
    greatest = wasm_f32x4_max(greatest, wasm_i32x4_shuffle(greatest, greatest, 2, 3, 0, 1));
    greatest = wasm_f32x4_max(greatest, wasm_i32x4_shuffle(greatest, greatest, 1, 0, 3, 2));
    float scale = wasm_f32x4_extract_lane(greatest, 0) / 127;
    f32x4 inverse = wasm_f32x4_splat(scale == 0 ? 0 : 1 / scale);
    v128_t words[BLOCK / 8];
    for (uint32_t i = 0; i < BLOCK / 8; i++) {
      i32x4 low = wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(wasm_f32x4_mul(load4(x + 8 * i), inverse)));
      i32x4 high = wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(wasm_f32x4_mul(load4(x + 8 * i + 4), inverse)));
      words[i] = wasm_i16x8_narrow_i32x4(low, high);
    }
    *to.scales = scale;
    if (lanes == WORDS) {
      for (uint32_t i = 0; i < BLOCK / 8; i++) wasm_v128_store(to.whole + 16 * i, words[i]);
      continue;
    }
    for (uint32_t i = 0; i < BLOCK / 16; i++)
      wasm_v128_store(to.whole + 16 * i, wasm_i8x16_narrow_i16x8(words[2 * i], words[2 * i + 1]));
    v128_t ones = wasm_i16x8_const_splat(1);
    i32x4 total = ZERO;
    for (uint32_t i = 0; i < BLOCK / 8; i++) total = wasm_i32x4_add(total, wasm_i32x4_dot_i16x8(words[i], ones));
    total = wasm_i32x4_add(total, wasm_i32x4_shuffle(total, total, 2, 3, 0, 1));
    const int32_t sum = wasm_i32x4_extract_lane(total, 0) + wasm_i32x4_extract_lane(total, 1);
    *to.offsets = -zero_of(integers) * sum;
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

/* A vector's products with a block of a group, one in each lane. */
INLINE i32x4 group_block(Lanes lanes, Integers integers, Rounded x, const uint8_t *group) {
  const uint32_t row = block_bytes(integers);
  i32x4 exact[GROUP];
  if (lanes == BYTES) {
    v128_t factors[2] = {wasm_v128_load(x.whole), wasm_v128_load(x.whole + 16)};
    for (uint32_t j = 0; j < GROUP; j++) {
      v128_t weights[2];
      load_bytes(integers, group + j * row, weights);
      exact[j] = byte_dot(factors[1], weights[1], byte_dot(factors[0], weights[0], ZERO));
    }
  } else {
    v128_t factors[4];
    for (uint32_t i = 0; i < 4; i++) factors[i] = wasm_v128_load(x.whole + 16 * i);
    for (uint32_t j = 0; j < GROUP; j++) {
      v128_t weights[4];
      load_block(integers, group + j * row, weights);
      exact[j] = block_dots(factors, weights);
    }
  }
  i32x4 whole = whole_lane_sums(exact[0], exact[1], exact[2], exact[3]);
  return lanes == BYTES ? wasm_i32x4_add(whole, wasm_v128_load32_splat(x.offsets)) : whole;
}

/* The four results of one of `beside` vectors with a group's rows. */
INLINE f32x4 group_dots(Lanes lanes, Integers integers, Rounded x, uint32_t beside, const uint8_t *group, uint32_t blocks) {
  f32x4 sum = ZERO;
  for (uint32_t block = 0; block < blocks;
       block++, x = next_block(lanes, x, beside), group += group_block_bytes(integers)) {
    const uint16_t *halves = (const uint16_t *)(group + GROUP * block_bytes(integers));
    f32x4 both = wasm_f32x4_mul(load_halves(halves), splat_at(x.scales));
    sum = multiply_add(wasm_f32x4_convert_i32x4(group_block(lanes, integers, x, group)), both, sum);
  }
  return sum;
}

/*
 * A group's rows as 16-bit numbers or as bytes, and their scales, for products with many vectors: a step's elements of the four
 * rows beside one another, so that a lane is a row's and no lanes have to be added up.
 */
INLINE void widen_group(Lanes lanes, Integers integers, const uint8_t *group, uint32_t blocks, uint8_t *whole, float *scales) {
  const uint32_t row = block_bytes(integers), parts = rounded_bytes(lanes) / 16;
  for (uint32_t block = 0; block < blocks;
       block++, group += group_block_bytes(integers), whole += GROUP * rounded_bytes(lanes), scales += GROUP) {
    v128_t of_rows[GROUP][4];
    for (uint32_t j = 0; j < GROUP; j++) {
      if (lanes == BYTES) load_bytes(integers, group + j * row, of_rows[j]);
      else load_block(integers, group + j * row, of_rows[j]);
    }
    for (uint32_t part = 0; part < parts; part++) {
      v128_t a = of_rows[0][part], b = of_rows[1][part], c = of_rows[2][part], d = of_rows[3][part];
      v128_t ab = wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), ab2 = wasm_i32x4_shuffle(a, b, 2, 6, 3, 7);
      v128_t cd = wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), cd2 = wasm_i32x4_shuffle(c, d, 2, 6, 3, 7);
      uint8_t *to = whole + part * GROUP * 16;
      wasm_v128_store(to, wasm_i32x4_shuffle(ab, cd, 0, 1, 4, 5));
      wasm_v128_store(to + 16, wasm_i32x4_shuffle(ab, cd, 2, 3, 6, 7));
      wasm_v128_store(to + 32, wasm_i32x4_shuffle(ab2, cd2, 0, 1, 4, 5));
      wasm_v128_store(to + 48, wasm_i32x4_shuffle(ab2, cd2, 2, 3, 6, 7));
    }
    store4(scales, load_halves((const uint16_t *)(group + GROUP * row)));
  }
}

/* Widened rows of a weight, in groups. */
typedef struct {
  const uint8_t *whole;
  const float *scales;
  uint32_t groups, blocks;
} Panel;

/* Results of `rows` vectors that lie together with some groups of a panel from `first` on; both numbers have to be constants. */
INLINE void wide_block(Lanes lanes, uint32_t rows, uint32_t groups, Rounded x, const Panel *panel, uint32_t first, float *out,
                       uint32_t out_stride) {
  f32x4 sums[rows * groups];
  for (uint32_t i = 0; i < rows * groups; i++) sums[i] = ZERO;
  const uint32_t block_bytes = GROUP * rounded_bytes(lanes);
  const uint32_t group_bytes = panel->blocks * block_bytes, group_scales = panel->blocks * GROUP;
  const uint8_t *w = panel->whole + first * group_bytes;
  const float *w_scales = panel->scales + first * group_scales;
  for (uint32_t block = 0; block < panel->blocks;
       block++, x = next_block(lanes, x, rows), w += block_bytes, w_scales += GROUP) {
    i32x4 exact[rows * groups];
    for (uint32_t i = 0; i < rows; i++)
      for (uint32_t g = 0; g < groups; g++)
        exact[i * groups + g] = lanes == BYTES ? wasm_v128_load32_splat(x.offsets + i) : ZERO;
    /* Unrolled, its sums are added up in an order that needs more registers than there are. */
#pragma clang loop unroll(disable)
    for (uint32_t step = 0; step < steps_of(lanes); step++) {
      v128_t weights[groups];
      for (uint32_t g = 0; g < groups; g++) weights[g] = wasm_v128_load(w + g * group_bytes + step * GROUP * STEP_BYTES);
      for (uint32_t i = 0; i < rows; i++) {
        v128_t factor = wasm_v128_load32_splat(x.whole + i * rounded_bytes(lanes) + step * STEP_BYTES);
        for (uint32_t g = 0; g < groups; g++) {
          const uint32_t at = i * groups + g;
          if (lanes == BYTES) exact[at] = byte_dot(factor, weights[g], exact[at]);
          else exact[at] = wasm_i32x4_add(exact[at], wasm_i32x4_dot_i16x8(factor, weights[g]));
        }
      }
    }
    for (uint32_t g = 0; g < groups; g++) {
      f32x4 scales = load4(w_scales + g * group_scales);
      for (uint32_t i = 0; i < rows; i++)
        sums[i * groups + g] = multiply_add(wasm_f32x4_convert_i32x4(exact[i * groups + g]),
                                            wasm_f32x4_mul(scales, splat_at(x.scales + i)), sums[i * groups + g]);
    }
  }
  for (uint32_t i = 0; i < rows; i++)
    for (uint32_t g = 0; g < groups; g++) store4(out + i * out_stride + g * GROUP, sums[i * groups + g]);
}

/* The same for rows beside one another of which there may be fewer than ROUNDED. */
INLINE void wide_rows(Lanes lanes, uint32_t rows, uint32_t groups, Rounded x, const Panel *panel, uint32_t first, float *out,
                      uint32_t out_stride) {
  if (rows >= 4) wide_block(lanes, 4, groups, x, panel, first, out, out_stride);
  else if (rows == 3) wide_block(lanes, 3, groups, x, panel, first, out, out_stride);
  else if (rows == 2) wide_block(lanes, 2, groups, x, panel, first, out, out_stride);
  else wide_block(lanes, 1, groups, x, panel, first, out, out_stride);
}

/* out[i][j] for rounded rows i, of whose first a whole number of ROUNDED lie before, with rows j of a panel. */
INLINE void wide_dots(Lanes lanes, Rounded x, uint32_t rows, const Panel *panel, float *out, uint32_t out_stride) {
  for (uint32_t g = 0; g < panel->groups; g += 2) {
    for (uint32_t i = 0; i < rows; i += ROUNDED) {
      const Rounded from = rounded_at(lanes, x, i, panel->blocks);
      float *to = out + i * out_stride + g * GROUP;
      if (panel->groups - g >= 2) wide_rows(lanes, rows - i, 2, from, panel, g, to, out_stride);
      else wide_rows(lanes, rows - i, 1, from, panel, g, to, out_stride);
    }
  }
}

#endif
