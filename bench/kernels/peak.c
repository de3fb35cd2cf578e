#include <stdint.h>
#include <wasm_simd128.h>

/*
 * The most products a second that 128-bit SIMD gives: a tile of 4 rows by 2 vectors of a weight, whose sums are as many as
 * multiplications are under way at a time, and fit into registers with their operands. All operands come from memory, as in a product, and from its nearest cache.
 */

#define EXPORT(name) __attribute__((export_name(#name)))
#define ROWS 4
#define VECTORS 2
#define STEPS 16

/* By step: the weight's vectors, then a word of each row. Written from outside. */
v128_t weights[STEPS][VECTORS];
float rows[STEPS][ROWS];

EXPORT(operands) void *operands(void) { return weights; }
EXPORT(operand_bytes) uint32_t operand_bytes(void) { return sizeof weights; }
EXPORT(row_operands) void *row_operands(void) { return rows; }
EXPORT(row_bytes) uint32_t row_bytes(void) { return sizeof rows; }

#define PEAK(name, add)                                                                   \
  EXPORT(name) int32_t name(uint32_t steps) {                                             \
    v128_t sums[ROWS][VECTORS];                                                           \
    for (int r = 0; r < ROWS; r++)                                                        \
      for (int v = 0; v < VECTORS; v++) sums[r][v] = wasm_i32x4_splat(0);                 \
    for (uint32_t step = 0; step < steps; step++) {                                       \
      const v128_t *weight = weights[step % STEPS];                                       \
      const float *row = rows[step % STEPS];                                              \
      for (int r = 0; r < ROWS; r++) {                                                    \
        v128_t x = wasm_v128_load32_splat(row + r);                                       \
        for (int v = 0; v < VECTORS; v++) sums[r][v] = add(weight[v], x, sums[r][v]);     \
      }                                                                                   \
    }                                                                                     \
    v128_t all = sums[0][0];                                                              \
    for (int r = 0; r < ROWS; r++)                                                        \
      for (int v = 0; v < VECTORS; v++) all = wasm_v128_xor(all, sums[r][v]);             \
    return wasm_i32x4_extract_lane(all, 0);                                               \
  }

#define ADD_FLOATS(w, x, sum) __builtin_wasm_relaxed_madd_f32x4(w, x, sum)
#define ADD_HALF_WORDS(w, x, sum) wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(w, x))

#define ADD_BYTES(w, x, sum) wasm_i32x4_relaxed_dot_i8x16_i7x16_add(x, w, sum)

PEAK(floats, ADD_FLOATS)
PEAK(half_words, ADD_HALF_WORDS)
PEAK(bytes, ADD_BYTES)
