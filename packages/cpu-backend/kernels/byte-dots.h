/*
 * Relaxed SIMD's product of bytes: sixteen at a time, where products of 16-bit numbers take eight. WebAssembly promises what it
 * is only while the second factor's bytes are below 128. Beyond that it depends on the processor and the engine, so that what
 * this one does is found out first. Wherever these products are used, they are exact.
 */
#ifndef BYTE_DOTS_H
#define BYTE_DOTS_H

#include "simd.h"

typedef enum {
  /* Not even bytes below 64 are multiplied right. */
  NO_BYTES,
  /* Only those are: larger ones overflow on the way (x86 without VNNI, and V8 12.4). */
  SMALL_BYTES,
  /* The second factor's bytes are 0 .. 255 (x86 with VNNI). */
  ALL_UNSIGNED,
  /* The second factor's bytes are -128 .. 127 (Arm). */
  ALL_SIGNED
} ByteDots;

/* What the runtime does, once `find_byte_dots` has found out. */
extern ByteDots byte_dots;

/* Each lane: c, and four signed bytes of a times those of b. */
INLINE i32x4 byte_dot(v128_t a, v128_t b, i32x4 c) {
#ifdef __wasm_relaxed_simd__
  return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(a, b, c);
#else
  return c;
#endif
}

/* What signed bytes have added to become second factors. */
INLINE int32_t byte_zero(void) { return byte_dots == ALL_UNSIGNED ? 128 : 0; }

#endif
