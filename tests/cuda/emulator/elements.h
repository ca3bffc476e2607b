// SPDX-License-Identifier: Apache-2.0
// Elements of memory as doubles, for emulated libraries.
#pragma once

#include <cstdint>
#include <cstring>

#include "support/float8.h"

namespace emulator {

enum class Element { f32, f64, f16, bf16, e4m3, e5m2 };

inline int64_t size_of(Element type) {
  if (type == Element::e4m3 || type == Element::e5m2) return 1;
  return type == Element::f64 ? 8 : type == Element::f32 ? 4 : 2;
}

inline double load(Element type, const void* base, int64_t index) {
  const char* at = static_cast<const char*>(base) + index * size_of(type);
  if (type == Element::f64) return *reinterpret_cast<const double*>(at);
  if (type == Element::f32) return *reinterpret_cast<const float*>(at);
  if (type == Element::f16) return static_cast<double>(*reinterpret_cast<const _Float16*>(at));
  if (type == Element::e4m3) return backplane::test::decode(backplane::test::kE4M3, *reinterpret_cast<const uint8_t*>(at));
  if (type == Element::e5m2) return backplane::test::decode(backplane::test::kE5M2, *reinterpret_cast<const uint8_t*>(at));
  const uint32_t bits = uint32_t{*reinterpret_cast<const uint16_t*>(at)} << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

/// Libraries make no 8-bit floats here.
inline void store(Element type, void* base, int64_t index, double value) {
  char* at = static_cast<char*>(base) + index * size_of(type);
  if (type == Element::f64) {
    *reinterpret_cast<double*>(at) = value;
  } else if (type == Element::f32) {
    *reinterpret_cast<float*>(at) = static_cast<float>(value);
  } else if (type == Element::f16) {
    *reinterpret_cast<_Float16*>(at) = static_cast<_Float16>(static_cast<float>(value));
  } else {
    const float narrow = static_cast<float>(value);
    uint32_t bits;
    std::memcpy(&bits, &narrow, 4);
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    *reinterpret_cast<uint16_t*>(at) = static_cast<uint16_t>(nan ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
  }
}

}  // namespace emulator
