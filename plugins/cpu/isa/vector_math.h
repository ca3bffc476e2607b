// SPDX-License-Identifier: Apache-2.0
// Elementary functions in f32 as branch-free code that the compiler turns into vector loops.
//
// Each is accurate to a few units in the last place over the whole range, with the IEEE results for zero, infinities
// and NaN (tests/cards compares with f64). Polynomials are our own Chebyshev fits on the intervals noted beside them.
// Sine, cosine and power are evaluated in f64: that buys the argument reduction and the log's extra digits cheaply.
// Arguments outside what the fast code covers (|x| > 1e8 for sin and cos; non-positive bases for pow) are the business
// of the loops in scalar_loops.h, which then take libm for the whole block.
#pragma once

#include <stdint.h>

namespace backplane::cpu {
namespace {

inline uint32_t bits_of(float x) { return __builtin_bit_cast(uint32_t, x); }
inline float float_of(uint32_t x) { return __builtin_bit_cast(float, x); }
inline uint64_t bits_of(double x) { return __builtin_bit_cast(uint64_t, x); }
inline double double_of(uint64_t x) { return __builtin_bit_cast(double, x); }

constexpr float kInf = __builtin_inff();
constexpr float kNan = __builtin_nanf("");

inline float abs_of(float x) { return float_of(bits_of(x) & 0x7fffffffu); }
inline float with_sign(float magnitude, float sign) {
  return float_of(bits_of(magnitude) | (bits_of(sign) & 0x80000000u));
}
inline float round_even(float x) { return __builtin_rintf(x); }

// 2^n for n in [-126, 127].
inline float power_of_two(int32_t n) { return float_of(static_cast<uint32_t>(n + 127) << 23); }

// exp(x) = 2^n e^r, |r| <= ln 2 / 2; ln 2 in two parts so that r is exact. e^r = 1 + r + r^2 P(r).
inline float exp_remainder(float x, float& n) {
  n = round_even(x * 1.44269504088896341f);
  return (x - n * 0.693359375f) + n * 2.12194440e-4f;
}
inline float exp_tail(float r) {  // P(r)
  return ((((0.0001989198131f * r + 0.001393454193f) * r + 0.008333310024f) * r + 0.04166645681f) * r +
          0.1666666668f) * r + 0.5000000014f;
}
inline float vexp(float x) {
  // Beyond these the result is 0 or infinity anyhow; NaN passes through.
  float c = x > 89.0f ? 89.0f : x;
  c = c < -104.0f ? -104.0f : c;
  float n;
  const float r = exp_remainder(c, n);
  const float e = 1.0f + (r + r * r * exp_tail(r));
  const int32_t k = static_cast<int32_t>(n == n ? n : 0.0f);
  const int32_t half = k >> 1;  // two factors: results below 2^-126 and above 2^127 come out right
  return e * power_of_two(half) * power_of_two(k - half);
}

inline float vexpm1(float x) {
  float c = x > 89.0f ? 89.0f : x;
  c = c < -30.0f ? -30.0f : c;
  float n;
  const float r = exp_remainder(c, n);
  const float p = r + r * r * exp_tail(r);
  const int32_t k = static_cast<int32_t>(n == n ? n : 0.0f);
  const int32_t capped = k > 127 ? 127 : k;
  const float s = power_of_two(capped);
  const float small = s * p + (s - 1.0f);
  const float large = vexp(x);  // the -1 is far below the last place
  const float y = k > 64 ? large : small;
  return x == 0.0f ? x : y;  // keeps -0
}

// x = 2^e m, m in [sqrt(1/2), sqrt 2). log m = f - f^2/2 + f^3 P(f), f = m - 1.
inline float log_core(float x) {
  const bool tiny = x < 1.17549435e-38f;
  const float scaled = tiny ? x * 8388608.0f : x;
  const uint32_t u = bits_of(scaled) - 0x3f3504f3u;  // moves the boundary to sqrt(1/2)
  const int32_t e = (static_cast<int32_t>(u) >> 23) - (tiny ? 23 : 0);
  const float f = float_of((u & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
  const float n = static_cast<float>(e);
  float p = 0.06971611471f;
  p = p * f - 0.1147973385f;
  p = p * f + 0.1168541992f;
  p = p * f - 0.1242568733f;
  p = p * f + 0.1424905765f;
  p = p * f - 0.1666780232f;
  p = p * f + 0.2000071575f;
  p = p * f - 0.2499999696f;
  p = p * f + 0.3333333118f;
  const float s = f * f;
  float y = s * f * p;
  y = y - n * 2.12194440e-4f;
  y = y - 0.5f * s;
  return (f + y) + n * 0.693359375f;
}
inline float vlog(float x) {
  float y = log_core(x);
  y = x == kInf ? kInf : y;
  y = x == 0.0f ? -kInf : y;
  return x < 0.0f || x != x ? kNan : y;
}
// log(1 + x) = log(u) + (x - (u - 1)) / u with u = 1 + x rounded.
inline float vlog1p(float x) {
  const float u = 1.0f + x;
  float y = log_core(u) + (x - (u - 1.0f)) / u;
  y = abs_of(x) < 1e-7f ? x : y;  // also keeps -0
  y = x == kInf ? kInf : y;
  y = x == -1.0f ? -kInf : y;
  return x < -1.0f || x != x ? kNan : y;
}

// Odd polynomial below 0.625, 1 - 2 / (e^2x + 1) above.
inline float vtanh(float x) {
  const float a = abs_of(x);
  const float s = x * x;
  float p = 0.002283024357f;
  p = p * s - 0.008335324266f;
  p = p * s + 0.02176626268f;
  p = p * s - 0.0539589328f;
  p = p * s + 0.1333330217f;
  p = p * s - 0.3333333316f;
  const float near = x + x * s * p;
  const float far = with_sign(1.0f - 2.0f / (vexp(2.0f * a) + 1.0f), x);
  const float y = a < 0.625f ? near : far;
  return x != x || x == 0.0f ? x : y;
}

// x + x P(x^2) below 1; above, 1 - e^Q(x), where Q fits log(erfc) on [1, 4].
inline float verf(float x) {
  const float a = abs_of(x);
  const float s = x * x;
  float p = 7.875875063e-5f;
  p = p * s - 0.0008016864287f;
  p = p * s + 0.005189087423f;
  p = p * s - 0.02685421201f;
  p = p * s + 0.1128359472f;
  p = p * s - 0.3761262667f;
  p = p * s + 0.1283791658f;
  const float near = x + x * p;
  const float t = a > 4.0f ? 4.0f : a;
  float q = 1.637151415e-6f;
  q = q * t - 4.605804269e-5f;
  q = q * t + 0.0005968056257f;
  q = q * t - 0.004759596293f;
  q = q * t + 0.02642113601f;
  q = q * t - 0.1100800829f;
  q = q * t - 0.6318260516f;
  q = q * t - 1.130233435f;
  q = q * t + 0.0003201380497f;
  const float far = with_sign(1.0f - vexp(q), x);
  const float y = a < 1.0f ? near : far;
  return x != x ? x : y;
}

// k = nearest integer of x / (pi/2); the rest in [-pi/4, pi/4], pi/2 in two parts. For |x| <= 1e8.
inline double quarter_turns(double x, double& k) {
  k = __builtin_rint(x * 0.63661977236758134308);
  return (x - k * 1.57079632673412561417) - k * 6.0771005065061922e-11;
}
inline double sin_core(double r) {
  const double s = r * r;
  return r + r * s * (((2.72437814094612291e-6 * s - 0.000198400388725567477) * s + 0.0083333317852176954) * s -
                      0.166666666636228319);
}
inline double cos_core(double r) {
  const double s = r * r;
  return 1.0 + s * ((((-2.7230740927455003e-7 * s + 0.0000247997924056280098) * s - 0.00138888848584291782) * s +
                     0.0416666666349761627) * s - 0.499999999999601203);
}
inline float turned(float x, int32_t quarter) {  // sin(x + quarter * pi / 2)
  double k;
  const double r = quarter_turns(static_cast<double>(x), k);
  const int32_t q = static_cast<int32_t>(k) + quarter;
  const double y = (q & 1) != 0 ? cos_core(r) : sin_core(r);
  return static_cast<float>((q & 2) != 0 ? -y : y);
}
inline float vsin(float x) {
  const float y = turned(x, 0);
  return x == 0.0f ? x : y;
}
inline float vcos(float x) { return turned(x, 1); }

// x^y = 2^(y log2 x) in f64 for finite x > 0 and finite y.
inline float vpow(float x, float y) {
  const double d = static_cast<double>(x);
  const uint64_t u = bits_of(d) - 0x3fe6a09e667f3bcdull;
  const int32_t e = static_cast<int32_t>(static_cast<int64_t>(u) >> 52);
  const double m = double_of((u & 0x000fffffffffffffull) + 0x3fe6a09e667f3bcdull);
  const double z = (m - 1.0) / (m + 1.0);
  const double s = z * z;
  const double tail = (((0.193872990112434214 * s + 0.221901197211827508) * s + 0.285717749163249946) * s +
                       0.399999986965157197) * s + 0.66666666667449843;
  const double log_m = 2.0 * z + z * s * tail;
  double p = static_cast<double>(y) * (static_cast<double>(e) + log_m * 1.4426950408889634074);
  p = p > 130.0 ? 130.0 : p;
  p = p < -160.0 ? -160.0 : p;
  const double n = __builtin_rint(p);
  const double r = (p - n) * 0.69314718055994530942;
  double q = 2.76264660449350003e-6;
  q = q * r + 0.0000248776651025207618;
  q = q * r + 0.000198412062747853621;
  q = q * r + 0.00138888189460606731;
  q = q * r + 0.00833333335497190123;
  q = q * r + 0.0416666669047648455;
  q = q * r + 0.166666666666467806;
  q = q * r + 0.499999999997811829;
  q = q * r + 1.0;
  const double power = double_of(static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(n)) + 1023) << 52);
  return static_cast<float>((1.0 + r * q) * power);
}

}  // namespace
}  // namespace backplane::cpu
