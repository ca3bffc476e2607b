/* SPDX-License-Identifier: Apache-2.0
 *
 * Element sizes, half types and the conversions of BP_S_CAST, in plain C.
 *
 * f16 and bf16 are storage types: they are widened to float to be computed with, and rounded to nearest even, ties to
 * even, when stored. NaN stays NaN, overflow gives infinity, subnormals are kept.
 */
#ifndef BACKPLANE_SDK_CONVERT_H_
#define BACKPLANE_SDK_CONVERT_H_

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "backplane/plugin.h"

/* Bytes of one element, 0 for an unknown dtype. */
static inline uint32_t bp_sdk_dtype_size(uint32_t dtype) {
  static const uint8_t sizes[8] = {0, 4, 8, 2, 2, 4, 8, 1};
  return dtype < 8 ? sizes[dtype] : 0;
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

/* The nearest value of a float dtype; f32 itself is returned as it is. */
static inline float bp_sdk_round_to(uint32_t dtype, float value) {
  if (dtype == BP_F16) return bp_sdk_f16_to_f32(bp_sdk_f32_to_f16(value));
  if (dtype == BP_BF16) return bp_sdk_bf16_to_f32(bp_sdk_f32_to_bf16(value));
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
    default: break;
  }
}

#endif /* BACKPLANE_SDK_CONVERT_H_ */
