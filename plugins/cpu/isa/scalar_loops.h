// SPDX-License-Identifier: Apache-2.0
// One dense loop per scalar opcode and compute type: what the pointwise engine strings together over a block.
//
// Loops may run in place (y exactly equal to an operand): `ivdep` promises no more than that. Booleans are 0 or 1.
// Functions of f64 go through libm; f32 has vector code, with libm for blocks that hold unusual arguments.
#pragma once

#include <stdint.h>

#include "isa/convert.h"
#include "isa/isa_table.h"
#include "isa/vector_math.h"

#define BP_LOOP(expression)                \
  _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i) { y[i] = expression; }

namespace backplane::cpu {
namespace {

template <class T, class R, R (*F)(T)>
void unary(void* yv, const void* av, const void*, const void*, int64_t n) {
  auto* y = static_cast<R*>(yv);
  auto* a = static_cast<const T*>(av);
  BP_LOOP(F(a[i]))
}
template <class T, class R, R (*F)(T, T)>
void binary(void* yv, const void* av, const void* bv, const void*, int64_t n) {
  auto* y = static_cast<R*>(yv);
  auto* a = static_cast<const T*>(av);
  auto* b = static_cast<const T*>(bv);
  BP_LOOP(F(a[i], b[i]))
}
template <class T>
void select(void* yv, const void* av, const void* bv, const void* cv, int64_t n) {
  auto* y = static_cast<T*>(yv);
  auto* a = static_cast<const uint8_t*>(av);
  auto* b = static_cast<const T*>(bv);
  auto* c = static_cast<const T*>(cv);
  for (int64_t i = 0; i < n; ++i) {
    const T yes = b[i], no = c[i];
    y[i] = a[i] != 0 ? yes : no;
  }
}

// --- floating point and integer arithmetic -------------------------------------------------------------------------
template <class T> struct Bits { using Unsigned = T; };
template <> struct Bits<int32_t> { using Unsigned = uint32_t; };
template <> struct Bits<int64_t> { using Unsigned = uint64_t; };
template <class T> using U = typename Bits<T>::Unsigned;  // integers wrap: arithmetic on the unsigned type

template <class T> inline T f_add(T a, T b) { return static_cast<T>(static_cast<U<T>>(a) + static_cast<U<T>>(b)); }
template <class T> inline T f_sub(T a, T b) { return static_cast<T>(static_cast<U<T>>(a) - static_cast<U<T>>(b)); }
template <class T> inline T f_mul(T a, T b) { return static_cast<T>(static_cast<U<T>>(a) * static_cast<U<T>>(b)); }
template <class T> inline T f_neg(T a) { return static_cast<T>(-static_cast<U<T>>(a)); }
inline float f_abs(float a) { return abs_of(a); }
inline double f_abs(double a) { return __builtin_fabs(a); }
inline int32_t f_abs(int32_t a) { return a < 0 ? f_neg(a) : a; }
inline int64_t f_abs(int64_t a) { return a < 0 ? f_neg(a) : a; }
template <class T> inline T f_max(T a, T b) { return a > b || a != a ? a : b; }
template <class T> inline T f_min(T a, T b) { return a < b || a != a ? a : b; }
inline float f_div(float a, float b) { return a / b; }
inline double f_div(double a, double b) { return a / b; }
inline float f_rem(float a, float b) { return __builtin_fmodf(a, b); }
inline double f_rem(double a, double b) { return __builtin_fmod(a, b); }
template <class T> inline T int_div(T a, T b) { return b == 0 ? T(0) : b == -1 ? f_neg(a) : T(a / b); }
inline int32_t f_div(int32_t a, int32_t b) { return int_div(a, b); }
inline int64_t f_div(int64_t a, int64_t b) { return int_div(a, b); }
template <class T> inline T int_rem(T a, T b) { return b == 0 || b == -1 ? T(0) : T(a % b); }
inline int32_t f_rem(int32_t a, int32_t b) { return int_rem(a, b); }
inline int64_t f_rem(int64_t a, int64_t b) { return int_rem(a, b); }

template <class T> inline uint8_t f_eq(T a, T b) { return a == b; }
template <class T> inline uint8_t f_ne(T a, T b) { return a != b; }
template <class T> inline uint8_t f_lt(T a, T b) { return a < b; }
template <class T> inline uint8_t f_le(T a, T b) { return a <= b; }
template <class T> inline T f_and(T a, T b) { return static_cast<T>(a & b); }
template <class T> inline T f_or(T a, T b) { return static_cast<T>(a | b); }
template <class T> inline T f_xor(T a, T b) { return static_cast<T>(a ^ b); }
template <class T> inline T f_not(T a) { return static_cast<T>(~a); }
inline uint8_t f_not_bool(uint8_t a) { return static_cast<uint8_t>(a ^ 1u); }
template <class T> inline T f_shl(T a, T b) {
  return static_cast<T>(static_cast<U<T>>(a) << (static_cast<U<T>>(b) & (sizeof(T) * 8 - 1)));
}
template <class T> inline T f_shr(T a, T b) {
  return static_cast<T>(static_cast<U<T>>(a) >> (static_cast<U<T>>(b) & (sizeof(T) * 8 - 1)));
}

// --- functions -----------------------------------------------------------------------------------------------------
inline float f_sqrt(float a) { return __builtin_sqrtf(a); }
inline double f_sqrt(double a) { return __builtin_sqrt(a); }
inline float f_rsqrt(float a) { return 1.0f / __builtin_sqrtf(a); }
inline double f_rsqrt(double a) { return 1.0 / __builtin_sqrt(a); }
inline float f_floor(float a) { return __builtin_floorf(a); }
inline double f_floor(double a) { return __builtin_floor(a); }
inline float f_ceil(float a) { return __builtin_ceilf(a); }
inline double f_ceil(double a) { return __builtin_ceil(a); }
inline double d_exp(double a) { return __builtin_exp(a); }
inline double d_log(double a) { return __builtin_log(a); }
inline double d_sin(double a) { return __builtin_sin(a); }
inline double d_cos(double a) { return __builtin_cos(a); }
inline double d_tanh(double a) { return __builtin_tanh(a); }
inline double d_erf(double a) { return __builtin_erf(a); }
inline double d_expm1(double a) { return __builtin_expm1(a); }
inline double d_log1p(double a) { return __builtin_log1p(a); }
inline double d_pow(double a, double b) { return __builtin_pow(a, b); }

inline bool all_turnable(const float* a, int64_t n) {
  int32_t unusual = 0;
  for (int64_t i = 0; i < n; ++i) unusual |= !(abs_of(a[i]) <= 1e8f);
  return unusual == 0;
}
template <float (*Fast)(float), float (*Slow)(float)>
void circular(void* yv, const void* av, const void*, const void*, int64_t n) {
  auto* y = static_cast<float*>(yv);
  auto* a = static_cast<const float*>(av);
  if (all_turnable(a, n)) {
    BP_LOOP(Fast(a[i]))
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = Slow(a[i]);
  }
}
inline float libm_sin(float a) { return __builtin_sinf(a); }
inline float libm_cos(float a) { return __builtin_cosf(a); }

inline void power(void* yv, const void* av, const void* bv, const void*, int64_t n) {
  auto* y = static_cast<float*>(yv);
  auto* a = static_cast<const float*>(av);
  auto* b = static_cast<const float*>(bv);
  int32_t unusual = 0;
  for (int64_t i = 0; i < n; ++i) unusual |= !(a[i] > 0.0f) | !(a[i] < kInf) | !(abs_of(b[i]) < kInf);
  if (unusual == 0) {
    BP_LOOP(vpow(a[i], b[i]))
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = __builtin_powf(a[i], b[i]);
  }
}

// --- casts: float to int truncates and saturates, NaN gives 0; to bool: x != 0 ---------------------------------------
template <class From, class To>
inline To cast_value(From x) {
  return static_cast<To>(x);
}
template <class F>
inline int32_t float_to_i32(F x) {
  return x != x ? 0 : x >= F(2147483648.0) ? INT32_MAX : x < F(-2147483648.0) ? INT32_MIN : static_cast<int32_t>(x);
}
template <class F>
inline int64_t float_to_i64(F x) {
  return x != x ? 0
         : x >= F(9223372036854775808.0) ? INT64_MAX
         : x < F(-9223372036854775808.0) ? INT64_MIN
                                         : static_cast<int64_t>(x);
}
template <> inline int32_t cast_value<float, int32_t>(float x) { return float_to_i32(x); }
template <> inline int32_t cast_value<double, int32_t>(double x) { return float_to_i32(x); }
template <> inline int64_t cast_value<float, int64_t>(float x) { return float_to_i64(x); }
template <> inline int64_t cast_value<double, int64_t>(double x) { return float_to_i64(x); }
template <class From>
inline uint8_t cast_to_bool(From x) {
  return x != From(0);
}
template <> inline uint8_t cast_value<float, uint8_t>(float x) { return cast_to_bool(x); }
template <> inline uint8_t cast_value<double, uint8_t>(double x) { return cast_to_bool(x); }
template <> inline uint8_t cast_value<int32_t, uint8_t>(int32_t x) { return cast_to_bool(x); }
template <> inline uint8_t cast_value<int64_t, uint8_t>(int64_t x) { return cast_to_bool(x); }
template <> inline uint8_t cast_value<uint8_t, uint8_t>(uint8_t x) { return cast_to_bool(x); }

template <class From>
void fill_casts(VectorLoop (&row)[kComputeCount]) {
  row[kF32] = unary<From, float, cast_value<From, float>>;
  row[kF64] = unary<From, double, cast_value<From, double>>;
  row[kI32] = unary<From, int32_t, cast_value<From, int32_t>>;
  row[kI64] = unary<From, int64_t, cast_value<From, int64_t>>;
  row[kBool] = unary<From, uint8_t, cast_value<From, uint8_t>>;
}

// --- the table -----------------------------------------------------------------------------------------------------
template <class T>
void fill_compare(IsaTable& t, Compute type) {
  t.op[40][type] = binary<T, uint8_t, f_eq<T>>;
  t.op[41][type] = binary<T, uint8_t, f_ne<T>>;
  t.op[42][type] = binary<T, uint8_t, f_lt<T>>;
  t.op[43][type] = binary<T, uint8_t, f_le<T>>;
  t.op[38][type] = binary<T, T, f_max<T>>;
  t.op[39][type] = binary<T, T, f_min<T>>;
  t.op[64][type] = select<T>;
}
template <class T>
void fill_arithmetic(IsaTable& t, Compute type) {
  t.op[3][type] = unary<T, T, f_neg<T>>;
  t.op[4][type] = unary<T, T, f_abs>;
  t.op[32][type] = binary<T, T, f_add<T>>;
  t.op[33][type] = binary<T, T, f_sub<T>>;
  t.op[34][type] = binary<T, T, f_mul<T>>;
  t.op[35][type] = binary<T, T, f_div>;
  t.op[36][type] = binary<T, T, f_rem>;
}
template <class T>
void fill_bitwise(IsaTable& t, Compute type) {
  t.op[44][type] = binary<T, T, f_and<T>>;
  t.op[45][type] = binary<T, T, f_or<T>>;
  t.op[46][type] = binary<T, T, f_xor<T>>;
}
template <class T>
void fill_integer(IsaTable& t, Compute type) {
  t.op[5][type] = unary<T, T, f_not<T>>;
  t.op[47][type] = binary<T, T, f_shl<T>>;
  t.op[48][type] = binary<T, T, f_shr<T>>;
}
template <class T>
void fill_roots(IsaTable& t, Compute type) {
  t.op[8][type] = unary<T, T, f_sqrt>;
  t.op[9][type] = unary<T, T, f_rsqrt>;
  t.op[16][type] = unary<T, T, f_floor>;
  t.op[17][type] = unary<T, T, f_ceil>;
}

// Indices are the BP_S_* codes of plugin.h, which this unit does not include.
inline void fill_scalar_table(IsaTable& t) {
  fill_compare<float>(t, kF32), fill_compare<double>(t, kF64), fill_compare<int32_t>(t, kI32);
  fill_compare<int64_t>(t, kI64), fill_compare<uint8_t>(t, kBool);
  fill_arithmetic<float>(t, kF32), fill_arithmetic<double>(t, kF64);
  fill_arithmetic<int32_t>(t, kI32), fill_arithmetic<int64_t>(t, kI64);
  fill_bitwise<int32_t>(t, kI32), fill_bitwise<int64_t>(t, kI64), fill_bitwise<uint8_t>(t, kBool);
  fill_integer<int32_t>(t, kI32), fill_integer<int64_t>(t, kI64);
  t.op[5][kBool] = unary<uint8_t, uint8_t, f_not_bool>;
  fill_roots<float>(t, kF32), fill_roots<double>(t, kF64);

  t.op[6][kF32] = unary<float, float, vexp>, t.op[6][kF64] = unary<double, double, d_exp>;
  t.op[7][kF32] = unary<float, float, vlog>, t.op[7][kF64] = unary<double, double, d_log>;
  t.op[10][kF32] = circular<vsin, libm_sin>, t.op[10][kF64] = unary<double, double, d_sin>;
  t.op[11][kF32] = circular<vcos, libm_cos>, t.op[11][kF64] = unary<double, double, d_cos>;
  t.op[12][kF32] = unary<float, float, vtanh>, t.op[12][kF64] = unary<double, double, d_tanh>;
  t.op[13][kF32] = unary<float, float, verf>, t.op[13][kF64] = unary<double, double, d_erf>;
  t.op[14][kF32] = unary<float, float, vexpm1>, t.op[14][kF64] = unary<double, double, d_expm1>;
  t.op[15][kF32] = unary<float, float, vlog1p>, t.op[15][kF64] = unary<double, double, d_log1p>;
  t.op[37][kF32] = power, t.op[37][kF64] = binary<double, double, d_pow>;

  fill_casts<float>(t.cast[kF32]), fill_casts<double>(t.cast[kF64]), fill_casts<int32_t>(t.cast[kI32]);
  fill_casts<int64_t>(t.cast[kI64]), fill_casts<uint8_t>(t.cast[kBool]);
  t.narrow[kNarrowF16] = {load_f16, store_f16, round_f16};
  t.narrow[kNarrowBF16] = {load_narrow<uint16_t, from_bf16>, store_narrow<uint16_t, to_bf16>, round_narrow<from_bf16, to_bf16>};
  t.narrow[kNarrowE4M3] = {load_narrow<uint8_t, from_e4m3>, store_narrow<uint8_t, to_e4m3>, round_narrow<from_e4m3, to_e4m3>};
  t.narrow[kNarrowE5M2] = {load_narrow<uint8_t, from_e5m2>, store_narrow<uint8_t, to_e5m2>, round_narrow<from_e5m2, to_e5m2>};
  t.normalize_bool = unary<uint8_t, uint8_t, cast_value<uint8_t, uint8_t>>;
}

}  // namespace
}  // namespace backplane::cpu
#undef BP_LOOP
