/* Vectors as products of whole numbers take them: rounded to eight bits, 32 elements at a time, as llama.cpp does. */
#ifndef ROUNDING_H
#define ROUNDING_H

#include "groups.h"

/* What products are taken of: 16-bit numbers, or bytes where `byte-dots.h` found those to be exact. */
typedef enum { WORDS, BYTES } Lanes;
/* Of a vector's elements four bytes are multiplied at a time. */
#define STEP_BYTES 4

/* Bytes of a vector's block, and steps in it. */
INLINE uint32_t rounded_bytes(Lanes lanes) { return BLOCK * (lanes == BYTES ? 1 : 2); }
INLINE uint32_t steps_of(Lanes lanes) { return rounded_bytes(lanes) / STEP_BYTES; }

/*
 * Rounded vectors that lie together, block by block, each block's beside one another: few addresses are then worked out for
 * many loads. The last of them may be fewer.
 */
#define ROUNDED 4

INLINE uint32_t rounded_beside(uint32_t row, uint32_t rows) {
  const uint32_t left = rows - row / ROUNDED * ROUNDED;
  return left < ROUNDED ? left : ROUNDED;
}

/* Where a block of the first of some vectors lies. */
typedef struct {
  /* Whole numbers of at most 127, as bytes or 16-bit numbers. */
  uint8_t *whole;
  /* By which they are multiplied; and what they then add up to, where weights have offsets. */
  float *scales, *totals;
  /* What products of a part of the block with the bytes of any weight begin with: they have `byte_zero_of` too much. */
  int32_t *starts;
} Rounded;

/* From one block to the next, of `beside` vectors for weights of so many parts in a block. */
INLINE Rounded next_block(Lanes lanes, uint32_t parts, Rounded at, uint32_t beside) {
  return (Rounded){at.whole + beside * rounded_bytes(lanes), at.scales + beside, at.totals + beside,
                   at.starts + beside * parts};
}

/* Vector number `row` of those that begin there, each of `blocks` blocks. */
INLINE Rounded rounded_at(Lanes lanes, uint32_t parts, Rounded first, uint32_t row, uint32_t blocks) {
  const uint32_t before = row / ROUNDED * ROUNDED, place = row - before;
  const uint32_t at = before * blocks + place;
  return (Rounded){first.whole + at * rounded_bytes(lanes), first.scales + at, first.totals + at,
                   first.starts + at * parts};
}

INLINE int32_t word_sum(v128_t a, v128_t b) {
  v128_t ones = wasm_i16x8_const_splat(1);
  i32x4 sums = wasm_i32x4_add(wasm_i32x4_dot_i16x8(a, ones), wasm_i32x4_dot_i16x8(b, ones));
  sums = wasm_i32x4_add(sums, wasm_i32x4_shuffle(sums, sums, 2, 3, 0, 1));
  return wasm_i32x4_extract_lane(sums, 0) + wasm_i32x4_extract_lane(sums, 1);
}

/* Round a vector's blocks; those of `beside` vectors lie together. `zero` is what weights' bytes have too much. */
INLINE void round_vector(Lanes lanes, int32_t zero, uint32_t parts, const float *x, uint32_t blocks, uint32_t beside, Rounded to) {
  for (uint32_t block = 0; block < blocks; block++, x += BLOCK, to = next_block(lanes, parts, to, beside)) {
    f32x4 greatest = ZERO;
    for (uint32_t i = 0; i < BLOCK; i += 4) greatest = wasm_f32x4_max(greatest, wasm_f32x4_abs(load4(x + i)));
    greatest = wasm_f32x4_max(greatest, wasm_i32x4_shuffle(greatest, greatest, 2, 3, 0, 1));
    greatest = wasm_f32x4_max(greatest, wasm_i32x4_shuffle(greatest, greatest, 1, 0, 3, 2));
    /* Of a scale below the normal numbers the inverse may be none; such a block is nothing. */
    float scale = wasm_f32x4_extract_lane(greatest, 0) / 127;
    if (scale < 0x1p-126f) scale = 0;
    f32x4 inverse = wasm_f32x4_splat(scale == 0 ? 0 : 1 / scale);
    v128_t words[4];
    for (uint32_t i = 0; i < 4; i++) {
      i32x4 low = wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(wasm_f32x4_mul(load4(x + 8 * i), inverse)));
      i32x4 high = wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(wasm_f32x4_mul(load4(x + 8 * i + 4), inverse)));
      words[i] = wasm_i16x8_narrow_i32x4(low, high);
    }
    const int32_t sums[2] = {word_sum(words[0], words[1]), word_sum(words[2], words[3])};
    *to.scales = scale;
    *to.totals = scale * (float)(sums[0] + sums[1]);
    if (lanes == WORDS) {
      for (uint32_t i = 0; i < 4; i++) wasm_v128_store(to.whole + 16 * i, words[i]);
      continue;
    }
    for (uint32_t i = 0; i < 2; i++) wasm_v128_store(to.whole + 16 * i, wasm_i8x16_narrow_i16x8(words[2 * i], words[2 * i + 1]));
    if (parts == 1) to.starts[0] = -zero * (sums[0] + sums[1]);
    else
      for (uint32_t part = 0; part < 2; part++) to.starts[part] = -zero * sums[part];
  }
}

#endif
