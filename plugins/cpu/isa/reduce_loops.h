// SPDX-License-Identifier: Apache-2.0
// Folding rows and columns. A row is folded in 32 (f32) lanes at once, which is both the vector code and what keeps the
// rounding error of a sum small: each lane adds n/32 numbers, and lanes are combined pairwise.
#pragma once

#include <stdint.h>

#include "isa/isa_table.h"
#include "isa/scalar_loops.h"

namespace backplane::cpu {
namespace {

template <class T, T (*F)(T, T)>
T fold_row(const T* x, int64_t stride, int64_t n, T initial) {
  constexpr int64_t kLanes = 128 / sizeof(T);
  // Long rows of a sum are cut into chunks whose results are added up: error grows with the square root of n at worst
  // in each of the three levels.
  T lane[kLanes];
  for (int64_t l = 0; l < kLanes; ++l) lane[l] = initial;
  int64_t i = 0;
  if (stride == 1) {
    for (; i + kLanes <= n; i += kLanes) {
      for (int64_t l = 0; l < kLanes; ++l) lane[l] = F(lane[l], x[i + l]);
    }
  } else {
    for (; i + 8 <= n; i += 8) {
      for (int64_t l = 0; l < 8; ++l) lane[l] = F(lane[l], x[(i + l) * stride]);
    }
  }
  for (int64_t l = 0; i < n; ++i, ++l) lane[l] = F(lane[l], x[i * stride]);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t l = 0; l < half; ++l) lane[l] = F(lane[l], lane[l + half]);
  }
  return lane[0];
}

template <class T, T (*F)(T, T), int Kind>
void reduce_row(const void* x, int64_t stride, int64_t n, void* accumulator) {
  auto* in = static_cast<const T*>(x);
  auto* out = static_cast<T*>(accumulator);
  constexpr int64_t kChunk = 4096;
  for (int64_t i = 0; i < n; i += kChunk) {
    const int64_t m = n - i < kChunk ? n - i : kChunk;
    const T first = Kind == 0 ? T(0) : Kind == 3 ? T(1) : in[i * stride];
    *out = F(*out, fold_row<T, F>(in + i * stride, stride, m, first));
  }
}
template <class T, T (*F)(T, T)>
void reduce_columns(const void* x, int64_t n, void* accumulator) {
  auto* __restrict in = static_cast<const T*>(x);
  auto* __restrict out = static_cast<T*>(accumulator);
  for (int64_t i = 0; i < n; ++i) out[i] = F(out[i], in[i]);
}

template <class T>
void fill_reduce(IsaTable& t, Compute type, bool arithmetic) {
  if (arithmetic) {
    if constexpr (sizeof(T) > 1) {
      t.reduce_row[0][type] = reduce_row<T, f_add<T>, 0>, t.reduce_columns[0][type] = reduce_columns<T, f_add<T>>;
      t.reduce_row[3][type] = reduce_row<T, f_mul<T>, 3>, t.reduce_columns[3][type] = reduce_columns<T, f_mul<T>>;
    }
  }
  t.reduce_row[1][type] = reduce_row<T, f_max<T>, 1>, t.reduce_columns[1][type] = reduce_columns<T, f_max<T>>;
  t.reduce_row[2][type] = reduce_row<T, f_min<T>, 2>, t.reduce_columns[2][type] = reduce_columns<T, f_min<T>>;
}
inline void fill_reduce_table(IsaTable& t) {
  fill_reduce<float>(t, kF32, true), fill_reduce<double>(t, kF64, true), fill_reduce<int32_t>(t, kI32, true);
  fill_reduce<int64_t>(t, kI64, true), fill_reduce<uint8_t>(t, kBool, false);
}

}  // namespace
}  // namespace backplane::cpu
