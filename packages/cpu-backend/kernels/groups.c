#include "weights.h"

/* Where the parts of a row lie, in words, as `QuantisedRow` of @winnow/core-tensor describes them. */
typedef struct {
  const uint32_t *low, *high, *scales, *supers;
} RowParts;

/* A block's lowest bits: of a word of eight elements, byte i has element i below and element i + 4 above. */
INLINE void group_low(Quantised type, const uint32_t *from, uint8_t *to) {
  if (type == Q8_0) {
    __builtin_memcpy(to, from, BLOCK);
    return;
  }
  v128_t words = wasm_v128_load(from);
  v128_t even = wasm_v128_and(words, wasm_i8x16_const_splat(15)), odd = wasm_u8x16_shr(words, 4);
  v128_t first = wasm_i32x4_shuffle(even, odd, 0, 4, 1, 5), second = wasm_i32x4_shuffle(even, odd, 2, 6, 3, 7);
  wasm_v128_store(to, wasm_v128_or(first, wasm_i8x16_shl(second, 4)));
}

/* Its high bits: those of q6_k lie in two words of 16 elements, of which 4u + i has two bits from 8i + 2u. */
INLINE void group_high(Quantised type, const uint32_t *from, uint8_t *to) {
  if (high_bytes(type) == 4) __builtin_memcpy(to, from, 4);
  if (high_bytes(type) != 8) return;
  const uint32_t mask = 0x03030303;
  for (uint32_t half = 0; half < 2; half++) {
    const uint32_t first = from[0] >> (2 * half), second = from[1] >> (2 * half);
    const uint32_t word = (first & mask) | (first >> 4 & mask) << 2 | (second & mask) << 4 | (second >> 4 & mask) << 6;
    __builtin_memcpy(to + 4 * half, &word, 4);
  }
}

INLINE void group_row(Quantised type, RowParts from, uint32_t blocks, uint32_t row, uint8_t *to) {
  const uint32_t low = low_bytes(type), high = high_bytes(type), scales = scale_bytes(type), beside = blocks_beside(type);
  const uint8_t *bytes = (const uint8_t *)from.scales;
  const uint16_t *halves = (const uint16_t *)(is_nested(type) ? from.supers : from.scales);
  for (uint32_t block = 0; block < blocks; block++) {
    group_low(type, from.low + block * (low / 4), to + row * low);
    group_high(type, from.high + block * (high / 4), to + GROUP * low + row * high);
    for (uint32_t i = 0; i < scales; i++) to[GROUP * (low + high + i) + row] = bytes[block * scales + i];
    to += block_bytes(type);
    if ((block + 1) % beside != 0) continue;
    for (uint32_t i = 0; i < half_bytes(type) / 2; i++) {
      const uint16_t half = halves[block / beside * (half_bytes(type) / 2) + i];
      __builtin_memcpy(to + 2 * (i * GROUP + row), &half, 2);
    }
    to += GROUP * half_bytes(type);
  }
}

#define DEFINE_GROUP_ROW(TYPE)                                                                \
  ALONE void group_row_##TYPE(RowParts from, uint32_t blocks, uint32_t row, uint8_t *to) { \
    group_row(TYPE, from, blocks, row, to);                                                   \
  }
EACH_TYPE(DEFINE_GROUP_ROW)

/* Rows whose parts begin so many words behind their own become groups; the last one holds zeros where it has no rows. */
EXPORT(group_rows) void group_rows(WeightForm form, const uint32_t *from, uint32_t rows, uint32_t width, uint32_t row_words,
                                   uint32_t high, uint32_t scales, uint32_t supers, uint8_t *to) {
  const Quantised type = quantised_of(form);
  const uint32_t blocks = width / BLOCK;
  for (uint32_t row = 0; row < rows; row++, from += row_words) {
    const RowParts parts = {from, from + high, from + scales, from + supers};
    uint8_t *group = to + row / GROUP * group_bytes(type, blocks);
    switch (type) {
#define GROUP_ROW(TYPE) \
  case TYPE: group_row_##TYPE(parts, blocks, row % GROUP, group); break;
      EACH_TYPE(GROUP_ROW)
    }
  }
}
