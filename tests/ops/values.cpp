// SPDX-License-Identifier: Apache-2.0
#include "ops/values.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>

#include "support/float8.h"

namespace backplane::test {

namespace {

/// splitmix64 (Steele, Lea, Flood 2014).
uint64_t next(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

float half_to_float(uint16_t h) {
  const int exponent = h >> 10 & 31, mantissa = h & 1023;
  double value = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  if (exponent == 31) value = mantissa == 0 ? std::numeric_limits<double>::infinity() : std::nan("");
  return static_cast<float>((h & 0x8000) != 0 ? -value : value);
}

/// Nearest, ties to even: in units of the last place, which std::nearbyint rounds that way.
uint16_t float_to_half(double x) {
  const auto sign = static_cast<uint16_t>(std::signbit(x) ? 0x8000 : 0);
  const double a = std::fabs(x);
  if (std::isnan(x)) return 0x7e00;
  if (a >= 65520) return static_cast<uint16_t>(sign | 0x7c00);
  const int exponent = std::max(a > 0 ? std::ilogb(a) : -14, -14);
  const auto units =
      static_cast<uint32_t>(std::nearbyint(std::ldexp(a, 10 - exponent)));  // 1024 ... 2048, less if subnormal
  return static_cast<uint16_t>(sign | ((static_cast<uint32_t>(exponent + 14) << 10) + units));
}

float bf16_to_float(uint16_t h) { return std::bit_cast<float>(static_cast<uint32_t>(h) << 16); }
uint16_t float_to_bf16(double x) {
  if (std::isnan(x)) return 0x7fc0;
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(x));
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <class T>
T at(const Literal& literal, size_t i) {
  T value;
  std::memcpy(&value, literal.bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}
template <class T>
void put(Literal& literal, size_t i, T value) {
  std::memcpy(literal.bytes.data() + i * sizeof(T), &value, sizeof(T));
}

}  // namespace

std::vector<double> to_doubles(const Literal& literal) {
  std::vector<double> out(static_cast<size_t>(literal.type.elements()));
  for (size_t i = 0; i < out.size(); ++i) {
    switch (literal.type.dtype) {
      case DType::f32:
        out[i] = at<float>(literal, i);
        break;
      case DType::f64:
        out[i] = at<double>(literal, i);
        break;
      case DType::f16:
        out[i] = half_to_float(at<uint16_t>(literal, i));
        break;
      case DType::bf16:
        out[i] = bf16_to_float(at<uint16_t>(literal, i));
        break;
      case DType::i32:
        out[i] = at<int32_t>(literal, i);
        break;
      case DType::i64:
        out[i] = static_cast<double>(at<int64_t>(literal, i));
        break;
      case DType::boolean:
        out[i] = at<uint8_t>(literal, i);
        break;
      case DType::f8_e4m3:
        out[i] = decode(kE4M3, at<uint8_t>(literal, i));
        break;
      case DType::f8_e5m2:
        out[i] = decode(kE5M2, at<uint8_t>(literal, i));
        break;
    }
  }
  return out;
}

Literal from_doubles(const Type& type, std::span<const double> values) {
  Literal out{type, std::vector<std::byte>(static_cast<size_t>(type.bytes()))};
  for (size_t i = 0; i < values.size(); ++i) {
    switch (type.dtype) {
      case DType::f32:
        put(out, i, static_cast<float>(values[i]));
        break;
      case DType::f64:
        put(out, i, values[i]);
        break;
      case DType::f16:
        put(out, i, float_to_half(values[i]));
        break;
      case DType::bf16:
        put(out, i, float_to_bf16(values[i]));
        break;
      case DType::i32:
        put(out, i, static_cast<int32_t>(values[i]));
        break;
      case DType::i64:
        put(out, i, static_cast<int64_t>(values[i]));
        break;
      case DType::boolean:
        put(out, i, static_cast<uint8_t>(values[i] != 0));
        break;
      case DType::f8_e4m3:
        put(out, i, encode(kE4M3, values[i]));
        break;
      case DType::f8_e5m2:
        put(out, i, encode(kE5M2, values[i]));
        break;
    }
  }
  return out;
}

Literal random_literal(const graph::SampleInput& input, uint64_t seed) {
  std::vector<double> values(static_cast<size_t>(input.type.elements()));
  for (double& value : values) {
    const double unit = static_cast<double>(next(seed) >> 11) * 0x1p-53;
    value = input.low + unit * (input.high - input.low);
    if (!is_real(input.type.dtype)) value = std::floor(value);
  }
  return from_doubles(input.type, values);
}

Literal poison(const Type& type) {
  const double bad = is_real(type.dtype) ? std::nan("") : type.dtype == boolean ? 1 : -1234567;
  return from_doubles(type, std::vector<double>(static_cast<size_t>(type.elements()), bad));
}

std::string difference(const Literal& want, const Literal& got, double tolerance) {
  if (!(want.type == got.type)) return "type is " + got.type.to_string() + ", expected " + want.type.to_string();
  const std::vector<double> w = to_doubles(want), g = to_doubles(got);
  double worst = -1;
  size_t where = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    if (w[i] == g[i] || (std::isnan(w[i]) && std::isnan(g[i]))) continue;
    double error = std::fabs(w[i] - g[i]);
    if (!std::isfinite(error)) error = std::numeric_limits<double>::infinity();
    if (error > tolerance && error > worst) worst = error, where = i;
  }
  if (worst < 0) return {};
  std::ostringstream text;
  text.precision(9);
  text << "element " << where << " of " << w.size() << " is " << g[where] << ", expected " << w[where]
       << "; they differ by " << worst << ", allowed is " << tolerance;
  return text.str();
}

}  // namespace backplane::test
