// SPDX-License-Identifier: Apache-2.0
// Maximum over 2 x 2 windows that lie side by side: rows of outputs from two rows of inputs, forward and backward.
#pragma once

#include <stdint.h>

#include "isa/isa_table.h"
#include "isa/scalar_loops.h"

namespace backplane::cpu {
namespace {

// Without AVX2 wide shuffles fall apart into single elements.
#ifdef __AVX2__
constexpr bool kWideShuffles = true;
#else
constexpr bool kWideShuffles = false;
#endif

// Vectors of the compiler: it finds no vector code for selections over pairs by itself.
template <int N> struct Lanes {
  typedef float Floats __attribute__((vector_size(4 * N)));
  typedef int Ints __attribute__((vector_size(4 * N)));
};

template <int N>
inline void max_block(const float* top, const float* bottom, float* y) {
  using V = typename Lanes<N>::Floats;
  typename Lanes<N>::Ints even{}, odd{};
  for (int i = 0; i < N; ++i) even[i] = 2 * i, odd[i] = 2 * i + 1;
  V t[2], b[2];
  __builtin_memcpy(t, top, sizeof t);
  __builtin_memcpy(b, bottom, sizeof b);
  const V first = __builtin_shuffle(t[0], t[1], even), second = __builtin_shuffle(t[0], t[1], odd);
  const V third = __builtin_shuffle(b[0], b[1], even), fourth = __builtin_shuffle(b[0], b[1], odd);
  const V upper = (first > second) | (first != first) ? first : second;
  const V lower = (third > fourth) | (third != third) ? third : fourth;
  const V result = (upper > lower) | (upper != upper) ? upper : lower;  // keeps NaN
  __builtin_memcpy(y, &result, sizeof result);
}
inline void max_one(const float* top, const float* bottom, float* y) {
  *y = f_max(f_max(top[0], top[1]), f_max(bottom[0], bottom[1]));
}

/// The gradient goes to the first element in row-major order that is the maximum, or NaN where that is NaN.
template <int N>
inline void max_grad_block(const float* __restrict top, const float* __restrict bottom, const float* __restrict y,
                           const float* __restrict dy, float* __restrict dtop, float* __restrict dbottom) {
  for (int i = 0; i < N; ++i) {
    const float m = y[i], g = dy[i];
    // Integers instead of bool keep the four choices in vector registers.
    const auto is = [m](float v) { return static_cast<int>(v == m) | (static_cast<int>(v != v) & static_cast<int>(m != m)); };
    const int a = is(top[2 * i]);
    const int b = is(top[2 * i + 1]) & ~a;
    const int c = is(bottom[2 * i]) & ~(a | b);
    const int d = is(bottom[2 * i + 1]) & ~(a | b | c);
    dtop[2 * i] = a != 0 ? g : 0.0f;
    dtop[2 * i + 1] = b != 0 ? g : 0.0f;
    dbottom[2 * i] = c != 0 ? g : 0.0f;
    dbottom[2 * i + 1] = d != 0 ? g : 0.0f;
  }
}

/// Covers 0 ... n - 1 with blocks of a fixed size. The last one overlaps its neighbour instead of running over the end:
/// writing an element twice does no harm, and rows of images are short.
template <bool Wide, class Block16, class Block8, class Block4, class Block1>
inline void cover(int64_t n, Block16&& block16, Block8&& block8, Block4&& block4, Block1&& block1) {
  const auto with = [n](int64_t size, auto&& block) {
    int64_t i = 0;
    for (; i + size <= n; i += size) block(i);
    if (i < n) block(n - size);
  };
  if (Wide && n >= 16) return with(16, block16);
  if (Wide && n >= 8) return with(8, block8);
  if (n >= 4) return with(4, block4);
  for (int64_t i = 0; i < n; ++i) block1(i);
}

inline void pool_max_2x2(const float* top, const float* bottom, float* y, int64_t n) {
  const auto block = [&]<int N>(int64_t i) { max_block<N>(top + 2 * i, bottom + 2 * i, y + i); };
  cover<kWideShuffles>(n, [&](int64_t i) { block.template operator()<16>(i); }, [&](int64_t i) { block.template operator()<8>(i); },
        [&](int64_t i) { block.template operator()<4>(i); },
        [&](int64_t i) { max_one(top + 2 * i, bottom + 2 * i, y + i); });
}

inline void pool_max_2x2_grad(const float* top, const float* bottom, const float* y, const float* dy, float* dtop,
                              float* dbottom, int64_t n) {
  const auto block = [&]<int N>(int64_t i) {
    max_grad_block<N>(top + 2 * i, bottom + 2 * i, y + i, dy + i, dtop + 2 * i, dbottom + 2 * i);
  };
  cover<true>(n, [&](int64_t i) { block.template operator()<16>(i); }, [&](int64_t i) { block.template operator()<8>(i); },
        [&](int64_t i) { block.template operator()<4>(i); }, [&](int64_t i) { block.template operator()<1>(i); });
}

inline void fill_pool_table(IsaTable& t) {
  t.pool_max_2x2 = pool_max_2x2;
  t.pool_max_2x2_grad = pool_max_2x2_grad;
}

}  // namespace
}  // namespace backplane::cpu
