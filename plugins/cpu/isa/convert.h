// SPDX-License-Identifier: Apache-2.0
// Storage in fewer bits than f32: f16 with the machine's own conversions where it has them, the others by integer
// arithmetic.
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

// The 8-bit floats of OCP's 8-bit Floating Point Specification 1.0, by the same means.
inline float from_e4m3(uint8_t h) {
  const uint32_t rest = h & 0x7fu;
  const uint32_t normal = rest == 0x7fu ? 0x7fc00000u : (rest << 20) + 0x3c000000u;
  const uint32_t subnormal = bits_of(static_cast<float>(static_cast<int32_t>(rest)) * 0x1p-9f);
  return float_of((rest < 8u ? subnormal : normal) | (static_cast<uint32_t>(h & 0x80u) << 24));
}
inline uint8_t to_e4m3(float x) {
  const uint32_t u = bits_of(x);
  const uint32_t a = u & 0x7fffffffu;
  const uint32_t subnormal = bits_of(float_of(a) + 16384.0f) - 0x46800000u;
  const uint32_t normal = (a - 0x3c000000u + 0x7ffffu + ((a >> 20) & 1u)) >> 20;
  uint32_t h = a < 0x3c800000u ? subnormal : normal;
  h = a > 0x43e80000u ? 0x7fu : h;  // above 464, and NaN
  return static_cast<uint8_t>(h | ((u >> 24) & 0x80u));
}
inline float from_e5m2(uint8_t h) { return from_f16(static_cast<uint16_t>(static_cast<uint32_t>(h) << 8)); }
inline uint8_t to_e5m2(float x) {
  const uint32_t u = bits_of(x);
  const uint32_t a = u & 0x7fffffffu;
  const uint32_t subnormal = bits_of(float_of(a) + 128.0f) - 0x43000000u;
  const uint32_t normal = (a - 0x38000000u + 0xfffffu + ((a >> 21) & 1u)) >> 21;
  uint32_t h = a < 0x38800000u ? subnormal : normal;
  h = a >= 0x47700000u ? 0x7cu : h;  // 61440 and above round to infinity
  h = a > 0x7f800000u ? 0x7fu : h;
  return static_cast<uint8_t>(h | ((u >> 24) & 0x80u));
}

template <class T, float (*from)(T)>
void load_narrow(void* y, const void* a, const void*, const void*, int64_t n) {
  auto* out = static_cast<float*>(y);
  auto* in = static_cast<const T*>(a);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = from(in[i]);
}
template <class T, T (*to)(float)>
void store_narrow(void* y, const void* a, const void*, const void*, int64_t n) {
  auto* out = static_cast<T*>(y);
  auto* in = static_cast<const float*>(a);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = to(in[i]);
}
template <auto from, auto to>
void round_narrow(void* y, const void* a, const void*, const void*, int64_t n) {
  auto* out = static_cast<float*>(y);
  auto* in = static_cast<const float*>(a);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = from(to(in[i]));
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
