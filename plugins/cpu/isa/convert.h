// SPDX-License-Identifier: Apache-2.0
// Half-precision storage: f16 with the machine's own conversions where it has them, bf16 by integer arithmetic.
#pragma once

#include <stdint.h>
#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "isa/vector_math.h"

namespace backplane::cpu {
namespace {

inline float from_bf16(uint16_t h) { return float_of(static_cast<uint32_t>(h) << 16); }
inline uint16_t to_bf16(float x) {
  const uint32_t u = bits_of(x);
  const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const uint32_t quiet = (u >> 16) | 0x40u;
  return static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

// Multiplying by 2^112 moves f16's exponent range to f32's, subnormals included.
inline float from_f16(uint16_t h) {
  const uint32_t magnitude = static_cast<uint32_t>(h & 0x7fffu) << 13;
  const float scaled = float_of(magnitude) * 5.192296858534828e33f;
  const uint32_t special = magnitude | 0x7f800000u;
  const uint32_t u = (h & 0x7c00u) == 0x7c00u ? special : bits_of(scaled);
  return float_of(u | (static_cast<uint32_t>(h & 0x8000u) << 16));
}
inline uint16_t to_f16(float x) {
  const uint32_t u = bits_of(x);
  const uint32_t a = u & 0x7fffffffu;
  // Subnormal results: adding 0.5 puts the f16 quantum at f32's last place, and the addition rounds.
  const uint32_t subnormal = bits_of(float_of(a) + 0.5f) - 0x3f000000u;
  const uint32_t normal = (a - 0x38000000u + 0xfffu + ((a >> 13) & 1u)) >> 13;
  uint32_t h = a < 0x38800000u ? subnormal : normal;
  h = a >= 0x477ff000u ? 0x7c00u : h;  // 65520 and above round to infinity
  h = a > 0x7f800000u ? (0x7e00u | ((a >> 13) & 0x3ffu)) : h;
  return static_cast<uint16_t>(h | ((u >> 16) & 0x8000u));
}

inline void load_bf16(void* y, const void* a, const void*, const void*, int64_t n) {
  auto* out = static_cast<float*>(y);
  auto* in = static_cast<const uint16_t*>(a);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = from_bf16(in[i]);
}
inline void store_bf16(void* y, const void* a, const void*, const void*, int64_t n) {
  auto* out = static_cast<uint16_t*>(y);
  auto* in = static_cast<const float*>(a);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = to_bf16(in[i]);
}
inline void round_bf16(void* y, const void* a, const void*, const void*, int64_t n) {
  auto* out = static_cast<float*>(y);
  auto* in = static_cast<const float*>(a);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = from_bf16(to_bf16(in[i]));
}

inline void load_f16(void* y, const void* a, const void*, const void*, int64_t n) {
  auto* out = static_cast<float*>(y);
  auto* in = static_cast<const uint16_t*>(a);
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i))));
  }
#endif
  for (; i < n; ++i) out[i] = from_f16(in[i]);
}
inline void store_f16(void* y, const void* a, const void*, const void*, int64_t n) {
  auto* out = static_cast<uint16_t*>(y);
  auto* in = static_cast<const float*>(a);
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
  }
#endif
  for (; i < n; ++i) out[i] = to_f16(in[i]);
}
inline void round_f16(void* y, const void* a, const void*, const void*, int64_t n) {
  auto* out = static_cast<float*>(y);
  auto* in = static_cast<const float*>(a);
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    const __m128i h = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT);
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(h));
  }
#endif
  for (; i < n; ++i) out[i] = from_f16(to_f16(in[i]));
}

}  // namespace
}  // namespace backplane::cpu
