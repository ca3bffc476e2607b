// SPDX-License-Identifier: Apache-2.0
// The 8-bit floats by their definition (OCP 8-bit Floating Point Specification 1.0, table 1), as an oracle for the
// conversions that devices and the SDK compute: a value by the formula, a code by looking for the nearest value.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace backplane::test {

struct Float8 {
  int exponent_bits, mantissa_bits;
  bool infinities;  ///< else only the code with all bits set is no number
};
inline constexpr Float8 kE4M3{4, 3, false}, kE5M2{5, 2, true};

/// Of a code without its sign bit; infinity and NaN where the format has them.
inline double magnitude_of(const Float8& f, int code) {
  const int bias = (1 << (f.exponent_bits - 1)) - 1, top = (1 << f.exponent_bits) - 1;
  const int exponent = code >> f.mantissa_bits, mantissa = code & ((1 << f.mantissa_bits) - 1);
  if (f.infinities && exponent == top) return mantissa == 0 ? INFINITY : NAN;
  if (!f.infinities && code == 0x7f) return NAN;
  const double fraction = std::ldexp(mantissa, -f.mantissa_bits);
  return exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
}

inline double decode(const Float8& f, uint8_t byte) {
  const double magnitude = magnitude_of(f, byte & 0x7f);
  return (byte & 0x80) != 0 ? -magnitude : magnitude;
}

/// Nearest, ties to the even code; what lies nearer to the number that would follow the largest is infinity or NaN.
inline uint8_t encode(const Float8& f, double value) {
  const auto sign = static_cast<uint8_t>(std::signbit(value) ? 0x80 : 0);
  const double a = std::fabs(value);
  if (std::isnan(a)) return static_cast<uint8_t>(sign | 0x7f);
  const int largest = f.infinities ? 0x7b : 0x7e;
  int best = 0;
  for (int code = 1; code <= largest; ++code) {
    const double now = std::fabs(magnitude_of(f, code) - a), before = std::fabs(magnitude_of(f, best) - a);
    if (now < before || (now == before && code % 2 == 0)) best = code;
  }
  const double top = magnitude_of(f, largest), step = top - magnitude_of(f, largest - 1), half_way = top + step / 2;
  if (a > half_way || (a == half_way && largest % 2 != 0)) best = largest + 1;
  return static_cast<uint8_t>(sign | best);
}

}  // namespace backplane::test
