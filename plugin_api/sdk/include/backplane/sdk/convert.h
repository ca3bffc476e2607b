/* SPDX-License-Identifier: Apache-2.0
 *
 * Element sizes, half types, 8-bit floats and the conversions of BP_S_CAST, in plain C.
 *
 * f16, bf16, f8_e4m3 and f8_e5m2 are storage types: they are widened to float to be computed with, and rounded to
 * nearest, ties to even, when stored. NaN stays NaN, overflow gives infinity, or NaN in f8_e4m3 which has none,
 * subnormals are kept. The 8-bit formats are those of the OCP 8-bit Floating Point Specification 1.0 (2023), without
 * its saturating mode.
 */
#ifndef BACKPLANE_SDK_CONVERT_H_
#define BACKPLANE_SDK_CONVERT_H_

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "backplane/plugin.h"

/* Bytes of one element, 0 for an unknown dtype. */
static inline uint32_t bp_sdk_dtype_size(uint32_t dtype) {
  static const uint8_t sizes[10] = {0, 4, 8, 2, 2, 4, 8, 1, 1, 1};
  return dtype < 10 ? sizes[dtype] : 0;
}

static inline float bp_sdk_bits_to_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
static inline uint32_t bp_sdk_float_to_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

static inline float bp_sdk_f16_to_f32(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000u) << 16, rest = half & 0x7FFFu;
  if (rest >= 0x7C00u) return bp_sdk_bits_to_float(sign | 0x7F800000u | ((rest & 0x3FFu) << 13)); /* inf, NaN */
  if (rest >= 0x0400u) return bp_sdk_bits_to_float(sign | ((rest + 0x1C000u) << 13));             /* normal */
  { /* subnormal: rest * 2^-24, exact in float */
    const float magnitude = (float)rest * 5.9604644775390625e-8f;
    return sign != 0 ? -magnitude : magnitude;
  }
}

static inline uint16_t bp_sdk_f32_to_f16(float value) {
  const uint32_t bits = bp_sdk_float_to_bits(value), sign = (bits >> 16) & 0x8000u, rest = bits & 0x7FFFFFFFu;
  if (rest > 0x7F800000u) return (uint16_t)(sign | 0x7E00u);  /* NaN */
  if (rest >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u); /* 65520 and above round to infinity */
  if (rest >= 0x38800000u) { /* normal: drop 13 bits, ties to even; the carry moves into the exponent as it should */
    return (uint16_t)(sign | ((rest + 0x0FFFu + ((rest >> 13) & 1u) - 0x38000000u) >> 13));
  }
  { /* subnormal: adding 0.5 puts the wanted bits at the end of the mantissa, rounded by the hardware */
    const float shifted = bp_sdk_bits_to_float(rest) + 0.5f;
    return (uint16_t)(sign | (bp_sdk_float_to_bits(shifted) - 0x3F000000u));
  }
}

static inline float bp_sdk_bf16_to_f32(uint16_t half) { return bp_sdk_bits_to_float((uint32_t)half << 16); }

static inline uint16_t bp_sdk_f32_to_bf16(float value) {
  const uint32_t bits = bp_sdk_float_to_bits(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)((bits >> 16) | 0x40u); /* NaN stays NaN */
  return (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

static inline float bp_sdk_e4m3_to_f32(uint8_t byte) {
  const uint32_t sign = (uint32_t)(byte & 0x80u) << 24, rest = byte & 0x7Fu;
  if (rest == 0x7Fu) return bp_sdk_bits_to_float(sign | 0x7FC00000u);
  if (rest >= 0x08u) return bp_sdk_bits_to_float(sign | ((rest << 20) + 0x3C000000u)); /* normal: exponent bias 7 */
  { /* subnormal: rest * 2^-9 */
    const float magnitude = (float)rest * 0.001953125f;
    return sign != 0 ? -magnitude : magnitude;
  }
}

static inline uint8_t bp_sdk_f32_to_e4m3(float value) {
  const uint32_t bits = bp_sdk_float_to_bits(value), sign = (bits >> 24) & 0x80u, rest = bits & 0x7FFFFFFFu;
  if (rest > 0x43E80000u) return (uint8_t)(sign | 0x7Fu); /* NaN; above 464, half way from 448 to 480 */
  if (rest >= 0x3C800000u) { /* normal: drop 20 bits as for f16 */
    return (uint8_t)(sign | ((rest + 0x7FFFFu + ((rest >> 20) & 1u) - 0x3C000000u) >> 20));
  }
  { /* subnormal: the last place of 2^14 is 2^-9 */
    const float shifted = bp_sdk_bits_to_float(rest) + 16384.0f;
    return (uint8_t)(sign | (bp_sdk_float_to_bits(shifted) - 0x46800000u));
  }
}

static inline float bp_sdk_e5m2_to_f32(uint8_t byte) { return bp_sdk_f16_to_f32((uint16_t)((uint32_t)byte << 8)); }

static inline uint8_t bp_sdk_f32_to_e5m2(float value) {
  const uint32_t bits = bp_sdk_float_to_bits(value), sign = (bits >> 24) & 0x80u, rest = bits & 0x7FFFFFFFu;
  if (rest > 0x7F800000u) return (uint8_t)(sign | 0x7Fu);
  if (rest >= 0x47700000u) return (uint8_t)(sign | 0x7Cu); /* 61440 and above round to infinity */
  if (rest >= 0x38800000u) return (uint8_t)(sign | ((rest + 0xFFFFFu + ((rest >> 21) & 1u) - 0x38000000u) >> 21));
  { /* subnormal: the last place of 2^7 is 2^-16 */
    const float shifted = bp_sdk_bits_to_float(rest) + 128.0f;
    return (uint8_t)(sign | (bp_sdk_float_to_bits(shifted) - 0x43000000u));
  }
}

/* The nearest value of a float dtype; f32 itself is returned as it is. */
static inline float bp_sdk_round_to(uint32_t dtype, float value) {
  if (dtype == BP_F16) return bp_sdk_f16_to_f32(bp_sdk_f32_to_f16(value));
  if (dtype == BP_BF16) return bp_sdk_bf16_to_f32(bp_sdk_f32_to_bf16(value));
  if (dtype == BP_F8_E4M3) return bp_sdk_e4m3_to_f32(bp_sdk_f32_to_e4m3(value));
  if (dtype == BP_F8_E5M2) return bp_sdk_e5m2_to_f32(bp_sdk_f32_to_e5m2(value));
  return value;
}

/* Float to integer: truncates, saturates, NaN gives 0. Every float is a double, so one form serves all. */
static inline int32_t bp_sdk_to_i32(double value) {
  if (!(value > -2147483649.0)) return value != value ? 0 : INT32_MIN;
  return value >= 2147483648.0 ? INT32_MAX : (int32_t)value;
}
static inline int64_t bp_sdk_to_i64(double value) {
  if (!(value >= -9223372036854775808.0)) return value != value ? 0 : INT64_MIN;
  return value >= 9223372036854775808.0 ? INT64_MAX : (int64_t)value;
}

/* One element as double, and back. i64 beyond 2^53 loses its low bits here: use typed access where that matters. */
static inline double bp_sdk_load(uint32_t dtype, const void* base, int64_t index) {
  switch (dtype) {
    case BP_F32: return ((const float*)base)[index];
    case BP_F64: return ((const double*)base)[index];
    case BP_F16: return bp_sdk_f16_to_f32(((const uint16_t*)base)[index]);
    case BP_BF16: return bp_sdk_bf16_to_f32(((const uint16_t*)base)[index]);
    case BP_I32: return ((const int32_t*)base)[index];
    case BP_I64: return (double)((const int64_t*)base)[index];
    case BP_BOOL: return ((const uint8_t*)base)[index] != 0;
    case BP_F8_E4M3: return bp_sdk_e4m3_to_f32(((const uint8_t*)base)[index]);
    case BP_F8_E5M2: return bp_sdk_e5m2_to_f32(((const uint8_t*)base)[index]);
    default: return 0;
  }
}
static inline void bp_sdk_store(uint32_t dtype, void* base, int64_t index, double value) {
  switch (dtype) {
    case BP_F32: ((float*)base)[index] = (float)value; break;
    case BP_F64: ((double*)base)[index] = value; break;
    case BP_F16: ((uint16_t*)base)[index] = bp_sdk_f32_to_f16((float)value); break;
    case BP_BF16: ((uint16_t*)base)[index] = bp_sdk_f32_to_bf16((float)value); break;
    case BP_I32: ((int32_t*)base)[index] = bp_sdk_to_i32(value); break;
    case BP_I64: ((int64_t*)base)[index] = bp_sdk_to_i64(value); break;
    case BP_BOOL: ((uint8_t*)base)[index] = value != 0; break;
    case BP_F8_E4M3: ((uint8_t*)base)[index] = bp_sdk_f32_to_e4m3((float)value); break;
    case BP_F8_E5M2: ((uint8_t*)base)[index] = bp_sdk_f32_to_e5m2((float)value); break;
    default: break;
  }
}

#endif /* BACKPLANE_SDK_CONVERT_H_ */
