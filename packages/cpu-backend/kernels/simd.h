/* Vectors of four floats, and what WebAssembly's SIMD lacks: halves, sums over lanes, exponentials. */
#ifndef SIMD_H
#define SIMD_H

#include <stdbool.h>
#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name)))
/* Loops of a kernel unroll only where their bounds are known, which inlining makes them. */
#define INLINE static inline __attribute__((always_inline))
/* Where everything were inlined into one function, engines would be slow to compile it, or never do it well. */
#define ALONE static __attribute__((noinline))

typedef v128_t f32x4;
typedef v128_t i32x4;

#define ZERO wasm_f32x4_const_splat(0)

/* For arrays of sums: cleared with ZERO they would be cleared as memory, and stay there instead of in registers. */
INLINE v128_t cleared(void) {
  v128_t zero = ZERO;
  __asm__("" : "+r"(zero));
  return zero;
}

/* a · b + c: rounded once where the module was built with relaxed SIMD, else twice. */
INLINE f32x4 multiply_add(f32x4 a, f32x4 b, f32x4 c) {
#ifdef __wasm_relaxed_simd__
  return wasm_f32x4_relaxed_madd(a, b, c);
#else
  return wasm_f32x4_add(wasm_f32x4_mul(a, b), c);
#endif
}

INLINE float multiply_add_one(float a, float b, float c) {
  return wasm_f32x4_extract_lane(multiply_add(wasm_f32x4_splat(a), wasm_f32x4_splat(b), wasm_f32x4_splat(c)), 0);
}

INLINE f32x4 load4(const float *from) { return wasm_v128_load(from); }
INLINE f32x4 splat_at(const float *from) { return wasm_v128_load32_splat(from); }
INLINE void store4(float *to, f32x4 value) { wasm_v128_store(to, value); }

/* What is behind the last whole vector of a row. */
INLINE f32x4 load_some(const float *from, uint32_t count) {
  f32x4 value = ZERO;
  if (count > 0) value = wasm_v128_load32_lane(from, value, 0);
  if (count > 1) value = wasm_v128_load32_lane(from + 1, value, 1);
  if (count > 2) value = wasm_v128_load32_lane(from + 2, value, 2);
  return value;
}

INLINE void store_some(float *to, f32x4 value, uint32_t count) {
  if (count > 0) wasm_v128_store32_lane(to, value, 0);
  if (count > 1) wasm_v128_store32_lane(to + 1, value, 1);
  if (count > 2) wasm_v128_store32_lane(to + 2, value, 2);
}

/* Lanes are added in one order wherever they are: (0 + 2) + (1 + 3). */
INLINE float lane_sum(f32x4 a) {
  f32x4 pairs = wasm_f32x4_add(a, wasm_i32x4_shuffle(a, a, 2, 3, 0, 1));
  return wasm_f32x4_extract_lane(pairs, 0) + wasm_f32x4_extract_lane(pairs, 1);
}

/* The lane sums of four vectors. */
INLINE f32x4 lane_sums(f32x4 a, f32x4 b, f32x4 c, f32x4 d) {
  f32x4 ab = wasm_f32x4_add(wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), wasm_i32x4_shuffle(a, b, 2, 6, 3, 7));
  f32x4 cd = wasm_f32x4_add(wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), wasm_i32x4_shuffle(c, d, 2, 6, 3, 7));
  return wasm_f32x4_add(wasm_i32x4_shuffle(ab, cd, 0, 1, 4, 5), wasm_i32x4_shuffle(ab, cd, 2, 3, 6, 7));
}

INLINE float greatest_lane(f32x4 a) {
  f32x4 pairs = wasm_f32x4_pmax(a, wasm_i32x4_shuffle(a, a, 2, 3, 0, 1));
  return wasm_f32x4_extract_lane(wasm_f32x4_pmax(pairs, wasm_i32x4_shuffle(pairs, pairs, 1, 0, 3, 2)), 0);
}

/* An f32's exponent is so much greater than that of the half whose bits it has. */
#define HALF_BIAS 0x1p112f

/* Four halves divided by HALF_BIAS, exactly: subnormal ones too. */
INLINE f32x4 load_small_halves(const uint16_t *from) {
  i32x4 wide = wasm_i32x4_load16x4((const int16_t *)from);
  return wasm_v128_and(wasm_i32x4_shl(wide, 13), wasm_i32x4_const_splat(0x8fffe000));
}

/* Finite ones: weights and scales are checked when a model is loaded. */
INLINE f32x4 load_halves(const uint16_t *from) {
  return wasm_f32x4_mul(load_small_halves(from), wasm_f32x4_const_splat(HALF_BIAS));
}

INLINE float half_at(const uint16_t *from) {
  uint32_t bits = ((uint32_t)(int32_t)(int16_t)*from << 13) & 0x8fffe000;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value * HALF_BIAS;
}

INLINE f32x4 load_bfloats(const uint16_t *from) { return wasm_i32x4_shl(wasm_u32x4_load16x4(from), 16); }

INLINE float bfloat_at(const uint16_t *from) {
  uint32_t bits = (uint32_t)*from << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

/*
 * e to the power of x, within 2 units of the last place for x <= 88; 0 where that is below the least normal number, and not a
 * number where x is none. x = n·ln 2 + r with r of at most ln 2 / 2; e^r is its series to r^7.
 */
INLINE f32x4 exponential(f32x4 x) {
  f32x4 least = wasm_f32x4_const_splat(-87.33654f);
  f32x4 bounded = wasm_f32x4_pmin(wasm_f32x4_pmax(x, least), wasm_f32x4_const_splat(88.37626f));
  f32x4 n = wasm_f32x4_nearest(wasm_f32x4_mul(bounded, wasm_f32x4_const_splat(1.44269504f)));
  /* ln 2 in two parts, of which the first times n is exact. */
  f32x4 r = multiply_add(n, wasm_f32x4_const_splat(-0.693359375f), bounded);
  r = multiply_add(n, wasm_f32x4_const_splat(2.12194440e-4f), r);
  f32x4 series = wasm_f32x4_const_splat(1.9875691500e-4f);
  series = multiply_add(series, r, wasm_f32x4_const_splat(1.3981999507e-3f));
  series = multiply_add(series, r, wasm_f32x4_const_splat(8.3334519073e-3f));
  series = multiply_add(series, r, wasm_f32x4_const_splat(4.1665795894e-2f));
  series = multiply_add(series, r, wasm_f32x4_const_splat(1.6666665459e-1f));
  series = multiply_add(series, r, wasm_f32x4_const_splat(0.5f));
  f32x4 value = wasm_f32x4_add(multiply_add(wasm_f32x4_mul(r, r), series, r), wasm_f32x4_const_splat(1));
  i32x4 power = wasm_i32x4_shl(wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(n), wasm_i32x4_const_splat(127)), 23);
  value = wasm_f32x4_mul(value, power);
  return wasm_v128_andnot(value, wasm_f32x4_lt(x, least));
}

INLINE float exponential_of(float x) { return wasm_f32x4_extract_lane(exponential(wasm_f32x4_splat(x)), 0); }

/* Where |x| is small, 1 - 2 / (e^2x + 1) would cancel: there its series to x^5 is used. */
INLINE f32x4 hyperbolic_tangent(f32x4 x) {
  f32x4 one = wasm_f32x4_const_splat(1);
  f32x4 magnitude = wasm_f32x4_abs(x);
  f32x4 power = exponential(wasm_f32x4_mul(magnitude, wasm_f32x4_const_splat(2)));
  f32x4 far = wasm_f32x4_sub(one, wasm_f32x4_div(wasm_f32x4_const_splat(2), wasm_f32x4_add(power, one)));
  f32x4 square = wasm_f32x4_mul(x, x);
  f32x4 near = wasm_f32x4_mul(
      magnitude,
      multiply_add(square, multiply_add(square, wasm_f32x4_const_splat(2.0f / 15), wasm_f32x4_const_splat(-1.0f / 3)), one));
  f32x4 value = wasm_v128_bitselect(near, far, wasm_f32x4_lt(magnitude, wasm_f32x4_const_splat(0.05f)));
  i32x4 sign = wasm_v128_and(x, wasm_i32x4_const_splat(0x80000000));
  return wasm_v128_or(value, sign);
}

#endif
