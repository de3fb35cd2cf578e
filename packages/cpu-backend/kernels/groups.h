/*
 * Weights of whole numbers, as they are held: rows lie in groups of four, so that memory is one stream. A group has, for each
 * block of 32 elements, the four rows' lowest bits, their high bits, and what scales a block has itself; behind one block, or
 * behind eight of a type whose scales are nested, follow the four rows' halves. Rows that are missing from the last group are
 * zeros.
 *
 * An element q of a part of a block stands for scale · (q - zero) + offset, as `QuantisedFormat` of @winnow/core-tensor has it.
 */
#ifndef GROUPS_H
#define GROUPS_H

#include "byte-dots.h"

#define BLOCK 32
#define GROUP 4

/* As `weight-form.ts` numbers them. */
typedef enum { Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K } Quantised;

/* `with(TYPE)` for each of them. */
#define EACH_TYPE(with) with(Q8_0) with(Q4_0) with(Q4_1) with(Q5_0) with(Q5_1) with(Q4_K) with(Q5_K) with(Q6_K)

/* Whether a block's scales are bytes, to be multiplied by a half that eight blocks share. */
INLINE bool is_nested(Quantised type) { return type >= Q4_K; }
/* Blocks that share their halves. */
INLINE uint32_t blocks_beside(Quantised type) { return is_nested(type) ? 8 : 1; }
/* Parts of a block that have a scale each. */
INLINE uint32_t parts_in(Quantised type) { return type == Q6_K ? 2 : 1; }
INLINE bool has_offset(Quantised type) { return type == Q4_1 || type == Q5_1 || type == Q4_K || type == Q5_K; }

/* Bytes of one row: a block's lowest bits, its high bits and its scales; and halves behind blocks. */
INLINE uint32_t low_bytes(Quantised type) { return type == Q8_0 ? BLOCK : BLOCK / 2; }
INLINE uint32_t high_bytes(Quantised type) {
  return type == Q5_0 || type == Q5_1 || type == Q5_K ? BLOCK / 8 : type == Q6_K ? BLOCK / 4 : 0;
}
INLINE uint32_t scale_bytes(Quantised type) { return is_nested(type) ? parts_in(type) + has_offset(type) : 0; }
INLINE uint32_t half_bytes(Quantised type) { return has_offset(type) ? 4 : 2; }

/* The same of a group. */
INLINE uint32_t block_bytes(Quantised type) { return GROUP * (low_bytes(type) + high_bytes(type) + scale_bytes(type)); }
INLINE uint32_t group_bytes(Quantised type, uint32_t blocks) {
  return blocks * block_bytes(type) + blocks / blocks_beside(type) * GROUP * half_bytes(type);
}

/* Whether products are taken of bytes. */
INLINE bool has_bytes(Quantised type) { return byte_dots >= (type == Q8_0 ? ALL_UNSIGNED : SMALL_BYTES); }

/* What a weight's bytes are greater by than what they stand for. */
INLINE int32_t byte_zero_of(Quantised type) {
  switch (type) {
    case Q8_0: return byte_zero();
    case Q4_0: return 8;
    case Q5_0: return 16;
    case Q6_K: return 32;
    default: return 0;
  }
}

/* A row's elements of a block as unsigned bytes, or of q8_0 as signed ones. */
INLINE void load_raw(Quantised type, const uint8_t *block, uint32_t row, v128_t to[2]) {
  const uint8_t *low = block + row * low_bytes(type);
  const uint8_t *high = block + GROUP * low_bytes(type) + row * high_bytes(type);
  if (type == Q8_0) {
    to[0] = wasm_v128_load(low);
    to[1] = wasm_v128_load(low + 16);
    return;
  }
  /* Byte i has element i below and element i + 16 above. */
  v128_t both = wasm_v128_load(low);
  to[0] = wasm_v128_and(both, wasm_i8x16_const_splat(15));
  to[1] = wasm_u8x16_shr(both, 4);
  if (high_bytes(type) == 4) {
    /* Element 4u + i is bit u of byte i. */
    v128_t bits = wasm_v128_load32_splat(high);
    v128_t first = wasm_u8x16_const(1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8);
    v128_t second = wasm_u8x16_const(16, 16, 16, 16, 32, 32, 32, 32, 64, 64, 64, 64, 128, 128, 128, 128);
    v128_t above = wasm_i8x16_const_splat(16);
    to[0] = wasm_v128_or(to[0], wasm_v128_and(wasm_i8x16_eq(wasm_v128_and(bits, first), first), above));
    to[1] = wasm_v128_or(to[1], wasm_v128_and(wasm_i8x16_eq(wasm_v128_and(bits, second), second), above));
  }
  if (high_bytes(type) == 8) {
    /* Byte i has elements i, i + 8, i + 16 and i + 24, from below. Multiplied, what leaves a byte ends below the mask's bits. */
    v128_t pairs = wasm_v128_load64_splat(high);
    v128_t above = wasm_i8x16_const_splat(0x30);
    v128_t second = wasm_i64x2_shuffle(pairs, wasm_u16x8_shr(pairs, 2), 0, 2);
    to[0] = wasm_v128_or(to[0], wasm_v128_and(wasm_i16x8_mul(pairs, wasm_i16x8_const(16, 16, 16, 16, 4, 4, 4, 4)), above));
    to[1] = wasm_v128_or(to[1], wasm_v128_and(second, above));
  }
}

/* As bytes for `byte_dot`: not less by `byte_zero_of` yet. */
INLINE void load_bytes(Quantised type, const uint8_t *block, uint32_t row, v128_t to[2]) {
  load_raw(type, block, row, to);
  if (type != Q8_0) return;
  v128_t flip = wasm_i8x16_splat((int8_t)byte_zero());
  to[0] = wasm_v128_xor(to[0], flip);
  to[1] = wasm_v128_xor(to[1], flip);
}

/* As 16-bit numbers. */
INLINE void load_words(Quantised type, const uint8_t *block, uint32_t row, v128_t to[4]) {
  if (type == Q8_0) {
    for (uint32_t i = 0; i < 4; i++) to[i] = wasm_i16x8_load8x8(block + row * BLOCK + 8 * i);
    return;
  }
  v128_t bytes[2];
  load_raw(type, block, row, bytes);
  if (byte_zero_of(type) != 0) {
    v128_t zero = wasm_i8x16_splat((int8_t)byte_zero_of(type));
    bytes[0] = wasm_i8x16_sub(bytes[0], zero);
    bytes[1] = wasm_i8x16_sub(bytes[1], zero);
  }
  to[0] = wasm_i16x8_extend_low_i8x16(bytes[0]);
  to[1] = wasm_i16x8_extend_high_i8x16(bytes[0]);
  to[2] = wasm_i16x8_extend_low_i8x16(bytes[1]);
  to[3] = wasm_i16x8_extend_high_i8x16(bytes[1]);
}

/* The four rows' halves, and of those behind them. */
typedef struct {
  f32x4 scale, offset;
} GroupHalves;

/* Of the blocks from `first` on, which are whole numbers of `blocks_beside`. */
INLINE GroupHalves load_group_halves(Quantised type, const uint8_t *first) {
  const uint16_t *halves = (const uint16_t *)(first + blocks_beside(type) * block_bytes(type));
  GroupHalves found = {load_halves(halves), ZERO};
  if (has_offset(type)) found.offset = load_halves(halves + GROUP);
  if (has_offset(type) && is_nested(type)) found.offset = wasm_f32x4_neg(found.offset);
  return found;
}

/* Four bytes as floats, of which those of q6_k are signed. */
INLINE f32x4 load_scale_bytes(Quantised type, const uint8_t *from) {
  v128_t bytes = wasm_v128_load32_zero(from);
  if (type == Q6_K) return wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(bytes)));
  return wasm_f32x4_convert_i32x4(wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(bytes)));
}

INLINE const uint8_t *scales_in(Quantised type, const uint8_t *block) {
  return block + GROUP * (low_bytes(type) + high_bytes(type));
}

/* The four rows' scales of a part of a block. Products of scales are exact. */
INLINE f32x4 part_scales(Quantised type, const uint8_t *block, uint32_t part, GroupHalves halves) {
  if (!is_nested(type)) return halves.scale;
  return wasm_f32x4_mul(halves.scale, load_scale_bytes(type, scales_in(type, block) + part * GROUP));
}

/* The four rows' offsets of a block. */
INLINE f32x4 block_offsets(Quantised type, const uint8_t *block, GroupHalves halves) {
  if (!is_nested(type)) return halves.offset;
  return wasm_f32x4_mul(halves.offset, load_scale_bytes(type, scales_in(type, block) + parts_in(type) * GROUP));
}

#endif
