#include "weights.h"

/* What a group of a packed row has, as `QuantisedFormat` of @winnow/core-tensor defines it. */
enum { HALF, HALF_PAIR, BYTE, BYTE_PAIR };
#define SUPER_GROUP 256

static void read_packed(const PackedRow *packed, const uint32_t *words, uint32_t width, float *to) {
  const uint16_t *halves = (const uint16_t *)(words + packed->scales);
  const uint16_t *supers = (const uint16_t *)(words + packed->supers);
  const uint8_t *bytes = (const uint8_t *)(words + packed->scales);
  const uint32_t units = packed->group / 4;
  for (uint32_t g = 0; g < width / packed->group; g++) {
    float scale = 0, offset = 0;
    uint32_t super = g * packed->group / SUPER_GROUP;
    switch (packed->scale_kind) {
      case HALF: scale = half_at(halves + g); break;
      case HALF_PAIR:
        scale = half_at(halves + 2 * g);
        offset = half_at(halves + 2 * g + 1);
        break;
      case BYTE: scale = half_at(supers + super) * (int8_t)bytes[g]; break;
      case BYTE_PAIR:
        scale = half_at(supers + 2 * super) * bytes[2 * g];
        offset = -half_at(supers + 2 * super + 1) * bytes[2 * g + 1];
        break;
    }
    f32x4 scales = wasm_f32x4_splat(scale), offsets = wasm_f32x4_splat(offset);
    i32x4 zero = wasm_i32x4_splat((int32_t)packed->zero);
    for (uint32_t unit = g * units; unit < (g + 1) * units; unit++) {
      i32x4 whole;
      if (packed->bits == 8) {
        whole = wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(words + unit)));
      } else {
        uint32_t four = words[unit >> 1] >> (4 * (unit & 1)) & 0x0f0f0f0f;
        if (packed->bits == 5) four |= (words[packed->high + (unit >> 3)] >> (unit & 7) & 0x01010101) << 4;
        if (packed->bits == 6) four |= (words[packed->high + (unit >> 2)] >> (2 * (unit & 3)) & 0x03030303) << 4;
        whole = wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(wasm_i32x4_splat((int32_t)four)));
        whole = wasm_i32x4_sub(whole, zero);
      }
      /* The product is exact, so that rounding once or twice makes no difference. */
      store4(to + 4 * unit, wasm_f32x4_add(wasm_f32x4_mul(scales, wasm_f32x4_convert_i32x4(whole)), offsets));
    }
  }
}

static void read_grouped(Integers integers, const uint8_t *group, uint32_t row, uint32_t blocks, float *to) {
  const uint32_t bytes = block_bytes(integers);
  for (uint32_t block = 0; block < blocks; block++, group += group_block_bytes(integers), to += BLOCK) {
    f32x4 scale = wasm_f32x4_splat(half_at((const uint16_t *)(group + GROUP * bytes) + row));
    v128_t whole[4];
    load_block(integers, group + row * bytes, whole);
    for (uint32_t i = 0; i < 4; i++) {
      store4(to + 8 * i, wasm_f32x4_mul(scale, wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(whole[i]))));
      store4(to + 8 * i + 4, wasm_f32x4_mul(scale, wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(whole[i]))));
    }
  }
}

static void read_floats(Floats floats, const uint8_t *row, uint32_t width, float *to) {
  uint32_t i = 0;
  for (; i + 4 <= width; i += 4) store4(to + i, load_floats(floats, row, i));
  for (; i < width; i++) to[i] = float_at(floats, row, i);
}

void read_row(const Weight *weight, uint32_t row, float *to) {
  const uint32_t width = weight->width;
  const uint8_t *at = weight->data + row * weight->row_bytes;
  switch (weight->form) {
    case WEIGHT_F32: read_floats(F32, at, width, to); return;
    case WEIGHT_F16: read_floats(F16, at, width, to); return;
    case WEIGHT_BF16: read_floats(BF16, at, width, to); return;
    case WEIGHT_PACKED: read_packed(&weight->packed, (const uint32_t *)at, width, to); return;
    case WEIGHT_Q8_0:
    case WEIGHT_Q4_0: {
      const uint8_t *group = weight->data + row / GROUP * weight->row_bytes;
      read_grouped(integers_of(weight->form), group, row % GROUP, width / BLOCK, to);
      return;
    }
  }
}

/* Rows as `QuantisedRow` describes them become groups; `to` holds zeros. */
EXPORT(group_rows) void group_rows(WeightForm form, const uint8_t *from, uint32_t rows, uint32_t width, uint32_t row_bytes,
                                   uint32_t scale_bytes, uint8_t *to) {
  const Integers integers = integers_of(form);
  const uint32_t bytes = block_bytes(integers);
  const uint32_t blocks = width / BLOCK;
  for (uint32_t row = 0; row < rows; row++, from += row_bytes) {
    uint8_t *block_at = to + row / GROUP * blocks * group_block_bytes(integers);
    const uint32_t j = row % GROUP;
    for (uint32_t block = 0; block < blocks; block++, block_at += group_block_bytes(integers)) {
      uint8_t *elements = block_at + j * bytes;
      if (integers == Q8_0) {
        __builtin_memcpy(elements, from + block * BLOCK, BLOCK);
      } else {
        /* Byte i of a word of eight has element i below and element i + 4 above. */
        for (uint32_t i = 0; i < BLOCK / 2; i++) {
          const uint8_t low = from[block * bytes + i / 8 * 4 + i % 4] >> (4 * (i / 4 % 2)) & 15;
          const uint8_t high = from[block * bytes + 8 + i / 8 * 4 + i % 4] >> (4 * (i / 4 % 2)) & 15;
          elements[i] = (uint8_t)(low | high << 4);
        }
      }
      __builtin_memcpy(block_at + GROUP * bytes + 2 * j, from + scale_bytes + 2 * block, 2);
    }
  }
}
