#include "weights.h"

INLINE void read_grouped(Quantised type, const uint8_t *group, uint32_t row, uint32_t blocks, float *to) {
  for (uint32_t done = 0; done < blocks; done += blocks_beside(type), group += GROUP * half_bytes(type)) {
    const GroupHalves halves = load_group_halves(type, group);
    for (uint32_t block = 0; block < blocks_beside(type); block++, group += block_bytes(type), to += BLOCK) {
      v128_t whole[4];
      load_words(type, group, row, whole);
      float scales[2][GROUP], offsets[GROUP];
      for (uint32_t part = 0; part < parts_in(type); part++) store4(scales[part], part_scales(type, group, part, halves));
      if (has_offset(type)) store4(offsets, block_offsets(type, group, halves));
      for (uint32_t i = 0; i < 4; i++) {
        f32x4 scale = wasm_f32x4_splat(scales[i * parts_in(type) / 4][row]);
        f32x4 low = wasm_f32x4_mul(scale, wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(whole[i])));
        f32x4 high = wasm_f32x4_mul(scale, wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(whole[i])));
        /* Products are exact, so that rounding once or twice makes no difference. */
        f32x4 offset = has_offset(type) ? wasm_f32x4_splat(offsets[row]) : ZERO;
        store4(to + 8 * i, wasm_f32x4_add(low, offset));
        store4(to + 8 * i + 4, wasm_f32x4_add(high, offset));
      }
    }
  }
}

#define DEFINE_READ_GROUPED(TYPE)                                                                      \
  ALONE void read_grouped_##TYPE(const uint8_t *group, uint32_t row, uint32_t blocks, float *to) { \
    read_grouped(TYPE, group, row, blocks, to);                                                        \
  }
EACH_TYPE(DEFINE_READ_GROUPED)

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
    default: break;
  }
  const uint8_t *group = weight->data + row / GROUP * weight->row_bytes;
  switch (quantised_of(weight->form)) {
#define READ_GROUPED(TYPE) \
  case TYPE: read_grouped_##TYPE(group, row % GROUP, width / BLOCK, to); break;
    EACH_TYPE(READ_GROUPED)
  }
}
