/*
 * Products of whole numbers: those of a block's parts are exact; a result adds them up times both scales, and its offset times
 * what the vector's block adds up to, block by block.
 */
#ifndef INTEGER_DOTS_H
#define INTEGER_DOTS_H

#include "rounding.h"

/* The lane sums of four vectors of whole numbers. */
INLINE i32x4 whole_lane_sums(i32x4 a, i32x4 b, i32x4 c, i32x4 d) {
  i32x4 ab = wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), wasm_i32x4_shuffle(a, b, 2, 6, 3, 7));
  i32x4 cd = wasm_i32x4_add(wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), wasm_i32x4_shuffle(c, d, 2, 6, 3, 7));
  return wasm_i32x4_add(wasm_i32x4_shuffle(ab, cd, 0, 1, 4, 5), wasm_i32x4_shuffle(ab, cd, 2, 3, 6, 7));
}

/* A vector's products with each part of a block of a group, a row's in each lane. */
INLINE void part_dots(Lanes lanes, Quantised type, Rounded x, const uint8_t *block, i32x4 whole[2]) {
  const uint32_t parts = parts_in(type), vectors = rounded_bytes(lanes) / 16, of_part = vectors / parts;
  v128_t factors[4];
  for (uint32_t i = 0; i < vectors; i++) factors[i] = wasm_v128_load(x.whole + 16 * i);
  i32x4 exact[2][GROUP];
  for (uint32_t j = 0; j < GROUP; j++) {
    v128_t weights[4];
    if (lanes == BYTES) load_bytes(type, block, j, weights);
    else load_words(type, block, j, weights);
    for (uint32_t part = 0; part < parts; part++) {
      i32x4 sum = ZERO;
      for (uint32_t i = part * of_part; i < (part + 1) * of_part; i++)
        sum = lanes == BYTES ? byte_dot(factors[i], weights[i], sum)
                             : wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(factors[i], weights[i]));
      exact[part][j] = sum;
    }
  }
  for (uint32_t part = 0; part < parts; part++) {
    whole[part] = whole_lane_sums(exact[part][0], exact[part][1], exact[part][2], exact[part][3]);
    if (lanes == BYTES && byte_zero_of(type) != 0)
      whole[part] = wasm_i32x4_add(whole[part], wasm_v128_load32_splat(x.starts + part));
  }
}

/* The four results of one of `beside` vectors with a group's rows. */
INLINE f32x4 group_dots(Lanes lanes, Quantised type, Rounded x, uint32_t beside, const uint8_t *group, uint32_t blocks) {
  f32x4 sum = ZERO;
  for (uint32_t done = 0; done < blocks; done += blocks_beside(type), group += GROUP * half_bytes(type)) {
    const GroupHalves halves = load_group_halves(type, group);
#pragma clang loop unroll(disable)
    for (uint32_t block = 0; block < blocks_beside(type);
         block++, x = next_block(lanes, parts_in(type), x, beside), group += block_bytes(type)) {
      i32x4 whole[2];
      part_dots(lanes, type, x, group, whole);
      for (uint32_t part = 0; part < parts_in(type); part++) {
        f32x4 both = wasm_f32x4_mul(part_scales(type, group, part, halves), splat_at(x.scales));
        sum = multiply_add(wasm_f32x4_convert_i32x4(whole[part]), both, sum);
      }
      if (has_offset(type)) sum = multiply_add(block_offsets(type, group, halves), splat_at(x.totals), sum);
    }
  }
  return sum;
}

/* Rows of a weight for products with many vectors: as 16-bit numbers or as bytes. */
typedef struct {
  /*
   * [groups][blocks]: a step's elements of the four rows beside one another, so that a lane is a row's and no lanes have to be
   * added up.
   */
  uint8_t *whole;
  /* [groups][blocks][parts and offset][GROUP] */
  float *scales;
  uint32_t groups, blocks;
} Panel;

INLINE uint32_t panel_block_bytes(Lanes lanes) { return GROUP * rounded_bytes(lanes); }
INLINE uint32_t panel_block_scales(Quantised type) { return GROUP * (parts_in(type) + has_offset(type)); }

INLINE void widen_group(Lanes lanes, Quantised type, const uint8_t *group, uint32_t blocks, uint8_t *whole, float *scales) {
  for (uint32_t done = 0; done < blocks; done += blocks_beside(type), group += GROUP * half_bytes(type)) {
    const GroupHalves halves = load_group_halves(type, group);
#pragma clang loop unroll(disable)
    for (uint32_t block = 0; block < blocks_beside(type); block++, group += block_bytes(type),
                  whole += panel_block_bytes(lanes), scales += panel_block_scales(type)) {
      v128_t of_rows[GROUP][4];
      for (uint32_t j = 0; j < GROUP; j++) {
        if (lanes == BYTES) load_bytes(type, group, j, of_rows[j]);
        else load_words(type, group, j, of_rows[j]);
      }
      for (uint32_t i = 0; i < rounded_bytes(lanes) / 16; i++) {
        v128_t a = of_rows[0][i], b = of_rows[1][i], c = of_rows[2][i], d = of_rows[3][i];
        v128_t ab = wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), ab2 = wasm_i32x4_shuffle(a, b, 2, 6, 3, 7);
        v128_t cd = wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), cd2 = wasm_i32x4_shuffle(c, d, 2, 6, 3, 7);
        uint8_t *to = whole + i * GROUP * 16;
        wasm_v128_store(to, wasm_i32x4_shuffle(ab, cd, 0, 1, 4, 5));
        wasm_v128_store(to + 16, wasm_i32x4_shuffle(ab, cd, 2, 3, 6, 7));
        wasm_v128_store(to + 32, wasm_i32x4_shuffle(ab2, cd2, 0, 1, 4, 5));
        wasm_v128_store(to + 48, wasm_i32x4_shuffle(ab2, cd2, 2, 3, 6, 7));
      }
      for (uint32_t part = 0; part < parts_in(type); part++)
        store4(scales + part * GROUP, part_scales(type, group, part, halves));
      if (has_offset(type)) store4(scales + parts_in(type) * GROUP, block_offsets(type, group, halves));
    }
  }
}

/* A step's products of `rows` vectors with some groups of a panel, added to sums. */
INLINE void wide_step(Lanes lanes, uint32_t rows, uint32_t groups, const uint8_t *x, const uint8_t *w, uint32_t group_whole,
                      uint32_t step, i32x4 *exact) {
  v128_t weights[groups];
  for (uint32_t g = 0; g < groups; g++) weights[g] = wasm_v128_load(w + g * group_whole + step * GROUP * STEP_BYTES);
  for (uint32_t i = 0; i < rows; i++) {
    v128_t factor = wasm_v128_load32_splat(x + i * rounded_bytes(lanes) + step * STEP_BYTES);
    for (uint32_t g = 0; g < groups; g++) {
      i32x4 *sum = exact + i * groups + g;
      if (lanes == BYTES) *sum = byte_dot(factor, weights[g], *sum);
      else *sum = wasm_i32x4_add(*sum, wasm_i32x4_dot_i16x8(factor, weights[g]));
    }
  }
}

/* Results of `rows` vectors that lie together with some groups of a panel from `first` on; both numbers have to be constants. */
INLINE void wide_block(Lanes lanes, Quantised type, uint32_t rows, uint32_t groups, Rounded x, const Panel *panel, uint32_t first,
                       float *out, uint32_t out_stride) {
  f32x4 sums[rows * groups];
  for (uint32_t i = 0; i < rows * groups; i++) sums[i] = cleared();
  const uint32_t parts = parts_in(type), of_part = steps_of(lanes) / parts;
  const uint32_t group_whole = panel->blocks * panel_block_bytes(lanes), group_scales = panel->blocks * panel_block_scales(type);
  const uint8_t *w = panel->whole + first * group_whole;
  const float *w_scales = panel->scales + first * group_scales;
  for (uint32_t block = 0; block < panel->blocks; block++, x = next_block(lanes, parts_in(type), x, rows), w += panel_block_bytes(lanes),
                w_scales += panel_block_scales(type)) {
    for (uint32_t part = 0; part < parts; part++) {
      i32x4 exact[rows * groups];
      for (uint32_t i = 0; i < rows * groups; i++)
        exact[i] = lanes == BYTES ? wasm_v128_load32_splat(x.starts + i / groups * parts + part) : cleared();
      /* Unrolled, its sums are added up in an order that needs more registers than there are. */
#pragma clang loop unroll(disable)
      for (uint32_t step = part * of_part; step < (part + 1) * of_part; step++)
        wide_step(lanes, rows, groups, x.whole, w, group_whole, step, exact);
      for (uint32_t g = 0; g < groups; g++) {
        f32x4 scales = load4(w_scales + g * group_scales + part * GROUP);
        for (uint32_t i = 0; i < rows; i++)
          sums[i * groups + g] = multiply_add(wasm_f32x4_convert_i32x4(exact[i * groups + g]),
                                              wasm_f32x4_mul(scales, splat_at(x.scales + i)), sums[i * groups + g]);
      }
    }
    for (uint32_t g = 0; g < groups && has_offset(type); g++) {
      f32x4 offsets = load4(w_scales + g * group_scales + parts * GROUP);
      for (uint32_t i = 0; i < rows; i++)
        sums[i * groups + g] = multiply_add(offsets, splat_at(x.totals + i), sums[i * groups + g]);
    }
  }
  for (uint32_t i = 0; i < rows; i++)
    for (uint32_t g = 0; g < groups; g++) store4(out + i * out_stride + g * GROUP, sums[i * groups + g]);
}

/* The same for vectors beside one another of which there may be fewer than ROUNDED. */
INLINE void wide_rows(Lanes lanes, Quantised type, uint32_t rows, uint32_t groups, Rounded x, const Panel *panel, uint32_t first,
                      float *out, uint32_t out_stride) {
  if (rows >= 4) wide_block(lanes, type, 4, groups, x, panel, first, out, out_stride);
  else if (rows == 3) wide_block(lanes, type, 3, groups, x, panel, first, out, out_stride);
  else if (rows == 2) wide_block(lanes, type, 2, groups, x, panel, first, out, out_stride);
  else wide_block(lanes, type, 1, groups, x, panel, first, out, out_stride);
}

/* out[i][j] for rounded vectors i, of whose first a whole number of ROUNDED lie before, with rows j of a panel. */
INLINE void wide_dots(Lanes lanes, Quantised type, Rounded x, uint32_t rows, const Panel *panel, float *out,
                      uint32_t out_stride) {
  for (uint32_t g = 0; g < panel->groups; g += 2) {
    for (uint32_t i = 0; i < rows; i += ROUNDED) {
      const Rounded from = rounded_at(lanes, parts_in(type), x, i, panel->blocks);
      float *to = out + i * out_stride + g * GROUP;
      if (panel->groups - g >= 2) wide_rows(lanes, type, rows - i, 2, from, panel, g, to, out_stride);
      else wide_rows(lanes, type, rows - i, 1, from, panel, g, to, out_stride);
    }
  }
}

#endif
