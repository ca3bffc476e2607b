// SPDX-License-Identifier: Apache-2.0
// What CUDA's compiler has built in, for a C++ compiler: kernels of codegen's CUDA dialect become functions that the emulator
// calls for each thread of a block. Barriers and shuffles hand control back to it (see blocks.h).
#pragma once

#include "device_types.h"

static thread_local EmulatedThread* bp_emulated_thread;
#define threadIdx (bp_emulated_thread->thread)
#define blockIdx (bp_emulated_thread->block)
#define blockDim (bp_emulated_thread->block_size)
#define gridDim (bp_emulated_thread->grid_size)

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ static thread_local  // one block runs at a time on a thread of the machine
#define BACKPLANE_EMULATED_CUDA 1

inline void bp_emulated_wait(int kind) {
  EmulatedThread* self = bp_emulated_thread;
  self->wait(self, kind);
  bp_emulated_thread = self;
}
inline void __syncthreads() { bp_emulated_wait(0); }
inline void __syncwarp(unsigned = 0xffffffffu) { bp_emulated_wait(1); }

template <class T>
inline T bp_emulated_shuffle(T value, int source) {
  static_assert(sizeof(T) <= 8);
  EmulatedThread* self = bp_emulated_thread;
  __builtin_memcpy(&self->exchanged, &value, sizeof(T));
  bp_emulated_wait(1);
  const int first = self->linear & ~31, from = first + (source & 31);
  T result = value;
  if (from < self->count) __builtin_memcpy(&result, &self[from - self->linear].exchanged, sizeof(T));
  bp_emulated_wait(1);
  return result;
}
template <class T>
inline T __shfl_xor_sync(unsigned, T value, int mask) {
  return bp_emulated_shuffle(value, (bp_emulated_thread->linear & 31) ^ mask);
}
template <class T>
inline T __shfl_sync(unsigned, T value, int source) {
  return bp_emulated_shuffle(value, source);
}
template <class T>
inline T __shfl_down_sync(unsigned, T value, int step) {
  const int lane = bp_emulated_thread->linear & 31;
  return bp_emulated_shuffle(value, lane + step < 32 ? lane + step : lane);
}

struct float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

template <class To, class From>
inline To bp_emulated_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}
inline int __float_as_int(float x) { return bp_emulated_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return bp_emulated_bits<unsigned>(x); }
inline float __int_as_float(int x) { return bp_emulated_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return bp_emulated_bits<float>(x); }
inline long long __double_as_longlong(double x) { return bp_emulated_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return bp_emulated_bits<double>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((1ull * a * b) >> 32); }
inline float __fmul_rn(float a, float b) { return a * b; }  // compiled with -ffp-contract=off
inline double __dmul_rn(double a, double b) { return a * b; }
inline float atomicAdd(float* at, float value) {
  const float before = *at;
  *at = before + value;
  return before;
}
inline int atomicAdd(int* at, int value) {
  const int before = *at;
  *at = before + value;
  return before;
}

#define BACKPLANE_EMULATED_MATH1(X)                                                                              \
  X(exp) X(log) X(sqrt) X(sin) X(cos) X(tanh) X(erf) X(expm1) X(log1p) X(floor) X(ceil) X(fabs) X(rint) X(trunc) X(exp2) X(log2)
#define X(name)                                                     \
  inline float name##f(float x) { return __builtin_##name##f(x); }  \
  inline double name(double x) { return __builtin_##name(x); }      \
  inline float name(float x) { return __builtin_##name##f(x); }
BACKPLANE_EMULATED_MATH1(X)
#undef X
#define BACKPLANE_EMULATED_MATH2(X) X(pow) X(fmod) X(fmax) X(fmin) X(copysign) X(ldexp)
#define X(name)                                                                                              \
  template <class B>                                                                                         \
  inline float name##f(float a, B b) {                                                                       \
    return __builtin_##name##f(a, b);                                                                        \
  }                                                                                                          \
  template <class B>                                                                                         \
  inline double name(double a, B b) {                                                                        \
    return __builtin_##name(a, b);                                                                           \
  }                                                                                                          \
  template <class B>                                                                                         \
  inline float name(float a, B b) {                                                                          \
    return __builtin_##name##f(a, b);                                                                        \
  }
BACKPLANE_EMULATED_MATH2(X)
#undef X
inline float fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline float rsqrtf(float x) { return 1.0f / __builtin_sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / __builtin_sqrt(x); }
template <class T>
inline T max(T a, T b) {
  return a > b ? a : b;
}
template <class T>
inline T min(T a, T b) {
  return a < b ? a : b;
}
inline bool isnan(float x) { return x != x; }
inline bool isinf(float x) { return __builtin_isinf(x); }
inline int abs(int x) { return x < 0 ? -x : x; }
inline long long llabs(long long x) { return x < 0 ? -x : x; }

// What the prelude writes in PTX.
inline float bp_half_to_float(unsigned short h) { return static_cast<float>(bp_emulated_bits<_Float16>(h)); }
inline unsigned short bp_float_to_half(float f) { return bp_emulated_bits<unsigned short>(static_cast<_Float16>(f)); }

// Tensor cores' fragments of 16 x 16: a lane has eight neighbouring elements of a row, and sees the other lanes' where they lie.
inline int bp_emulated_lane() { return bp_emulated_thread->linear & 31; }
template <class Fragment>
inline void bp_emulated_load(Fragment& f, const unsigned short* p, int apart) {
  for (int i = 0; i < 8; ++i) {
    const int e = bp_emulated_lane() * 8 + i;
    const unsigned value = p[e / 16 * apart + e % 16];
    f.r[i / 2] = i % 2 == 0 ? value : f.r[i / 2] | value << 16;
  }
}
template <class Fragment>
inline void bp_load_a(Fragment& f, const unsigned short* p, int apart) {
  bp_emulated_load(f, p, apart);
}
template <class Fragment>
inline void bp_load_b(Fragment& f, const unsigned short* p, int apart) {
  bp_emulated_load(f, p, apart);
}
template <class Sums>
inline void bp_store(const Sums& c, float* p, int apart) {
  for (int i = 0; i < 8; ++i) {
    const int e = bp_emulated_lane() * 8 + i;
    p[e / 16 * apart + e % 16] = c.r[i];
  }
}
template <class Sums, class Fragment>
inline void bp_muladd(Sums& c, const Fragment& a, const Fragment& b) {
  struct Shown {
    const Fragment *a, *b;
  } const mine{&a, &b};
  EmulatedThread* const self = bp_emulated_thread;
  self->exchanged = reinterpret_cast<unsigned long long>(&mine);
  bp_emulated_wait(1);
  const auto element = [&](bool of_a, int e) {
    const auto* shown = reinterpret_cast<const Shown*>(self[(self->linear & ~31) + e / 8 - self->linear].exchanged);
    const Fragment& f = of_a ? *shown->a : *shown->b;
    const unsigned bits = f.r[e % 8 / 2] >> (e % 2 * 16) & 0xffffu;
    if (sizeof(f.r) == 32) return static_cast<float>(bp_emulated_bits<_Float16>(static_cast<unsigned short>(bits)));
    return bp_emulated_bits<float>(bits << 16);
  };
  for (int i = 0; i < 8; ++i) {
    const int e = bp_emulated_lane() * 8 + i;
    for (int k = 0; k < 16; ++k) c.r[i] += element(true, e / 16 * 16 + k) * element(false, k * 16 + e % 16);
  }
  bp_emulated_wait(1);
}
