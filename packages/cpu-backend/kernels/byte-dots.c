#include "byte-dots.h"

ByteDots byte_dots = NO_BYTES;

#define VECTORS 64

/* Whether products are exact for some first factors, beside second ones of a range from its least to its greatest. */
static bool are_exact(int32_t least, int32_t greatest) {
  const int32_t from[4] = {least, greatest, least + 1, (least + greatest) / 2};
  uint32_t state = 1;
  for (uint32_t vector = 0; vector < VECTORS; vector++) {
    int8_t a[16];
    uint8_t b[16];
    int32_t c[4], found[4], alone[4];
    for (uint32_t i = 0; i < 16; i++) {
      /* Random ones (Numerical Recipes' generator), between vectors of nothing but extremes. */
      state = state * 1664525 + 1013904223;
      const bool extreme = vector % 2 == 0;
      a[i] = (int8_t)(extreme ? (vector & 2 ? 127 : -128) : (int32_t)(state >> 8 & 255) - 128);
      b[i] = (uint8_t)(extreme ? from[vector / 4 % 4] : least + (int32_t)((state >> 16) % (uint32_t)(greatest - least + 1)));
    }
    for (uint32_t lane = 0; lane < 4; lane++) c[lane] = (int32_t)(state >> 4) + (int32_t)lane;
    wasm_v128_store(found, byte_dot(wasm_v128_load(a), wasm_v128_load(b), wasm_v128_load(c)));
    wasm_v128_store(alone, byte_dot(wasm_v128_load(a), wasm_v128_load(b), ZERO));
    for (uint32_t lane = 0; lane < 4; lane++) {
      int32_t sum = 0;
      for (uint32_t i = 4 * lane; i < 4 * lane + 4; i++) sum += a[i] * (least < 0 ? (int8_t)b[i] : b[i]);
      if (found[lane] != c[lane] + sum || alone[lane] != sum) return false;
    }
  }
  return true;
}

/* What this runtime does with bytes; products then use it. */
EXPORT(find_byte_dots) ByteDots find_byte_dots(void) {
  byte_dots = !are_exact(0, 63)      ? NO_BYTES
              : are_exact(0, 255)    ? ALL_UNSIGNED
              : are_exact(-128, 127) ? ALL_SIGNED
                                     : SMALL_BYTES;
  return byte_dots;
}

/* Have products use less than the runtime does right. */
EXPORT(use_byte_dots) void use_byte_dots(ByteDots dots) { byte_dots = dots; }
