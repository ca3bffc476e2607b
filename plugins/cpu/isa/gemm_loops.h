// SPDX-License-Identifier: Apache-2.0
// Our own matrix product: register tiles of MR rows and NR columns, operands packed into panels (or, for small
// problems, read in place), loops blocked for the caches as in Goto and van de Geijn, "Anatomy of High-Performance
// Matrix Multiplication" (2008).
#pragma once

#include <stdint.h>

#include "isa/isa_table.h"

namespace backplane::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kMr = 12, kNv = 2;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32, kMr = 6, kNv = 2;
#else
constexpr int kVectorBytes = 16, kMr = 4, kNv = 2;
#endif
constexpr int64_t kKc = 384, kMcPanels = 16, kNcPanels = 32;

template <class T> struct Vector;
template <> struct Vector<float> { typedef float Type __attribute__((vector_size(kVectorBytes))); };
template <> struct Vector<double> { typedef double Type __attribute__((vector_size(kVectorBytes))); };

template <class V>
inline __attribute__((always_inline)) V load_vector(const void* from) {  // no alignment needed
  V v;
  __builtin_memcpy(&v, from, sizeof(V));
  return v;
}

template <class T> constexpr int64_t kLanesOf = kVectorBytes / static_cast<int64_t>(sizeof(T));
template <class T> constexpr int64_t kNr = kNv * kLanesOf<T>;

// c[Rows, NR] (+)= sum over k of a column of `a` times a row of `b`. a(r, p) = a[r * a_row + p * a_step].
template <class T, int Rows>
inline __attribute__((always_inline)) void micro(int64_t k, const T* a, int64_t a_row, int64_t a_step, const T* b,
                                                 int64_t b_step, T* c, int64_t c_row, bool accumulate) {
  using V = typename Vector<T>::Type;
  V sum[Rows][kNv];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kNv; ++v) sum[r][v] = V{};
  }
  for (int64_t p = 0; p < k; ++p) {
    V row[kNv];
#pragma GCC unroll 4
    for (int v = 0; v < kNv; ++v) row[v] = load_vector<V>(b + p * b_step + v * kLanesOf<T>);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const T scale = a[r * a_row + p * a_step];
#pragma GCC unroll 4
      for (int v = 0; v < kNv; ++v) sum[r][v] += scale * row[v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kNv; ++v) {
      T* target = c + r * c_row + v * kLanesOf<T>;
      const V result = accumulate ? load_vector<V>(target) + sum[r][v] : sum[r][v];
      __builtin_memcpy(target, &result, sizeof(V));
    }
  }
}

template <class T>
void micro_rows(int64_t rows, int64_t k, const T* a, int64_t a_row, int64_t a_step, const T* b, int64_t b_step, T* c,
                int64_t c_row, bool accumulate) {
  switch (rows) {
#define BP_CASE(R)                                                                                         \
  case R:                                                                                                  \
    if constexpr (R <= kMr) micro<T, R>(k, a, a_row, a_step, b, b_step, c, c_row, accumulate);             \
    break;
    BP_CASE(1) BP_CASE(2) BP_CASE(3) BP_CASE(4) BP_CASE(5) BP_CASE(6)
    BP_CASE(7) BP_CASE(8) BP_CASE(9) BP_CASE(10) BP_CASE(11) BP_CASE(12)
#undef BP_CASE
    default: break;
  }
}

// Panels of `width` consecutive rows (columns), step by step along k, the last one filled up with zeros.
template <class T>
void pack_panels(T* out, const T* x, int64_t across, int64_t along, int64_t count, int64_t k, int64_t width) {
  for (int64_t p0 = 0; p0 < count; p0 += width) {
    const int64_t w = count - p0 < width ? count - p0 : width;
    const T* base = x + p0 * across;
    if (across == 1) {
      for (int64_t p = 0; p < k; ++p, out += width) {
        for (int64_t i = 0; i < w; ++i) out[i] = base[p * along + i];
        for (int64_t i = w; i < width; ++i) out[i] = T(0);
      }
      continue;
    }
    for (int64_t i = 0; i < width; ++i) {
      for (int64_t p = 0; p < k; ++p) out[p * width + i] = i < w ? base[i * across + p * along] : T(0);
    }
    out += k * width;
  }
}

// A tile at the edge, or of a strided result, is computed apart and copied.
template <class T>
void tile(int64_t rows, int64_t columns, int64_t k, const T* a, int64_t a_row, int64_t a_step, const T* b,
          int64_t b_step, T* c, int64_t c_row, int64_t c_column, bool accumulate) {
  constexpr int64_t nr = kNr<T>;
  if (columns == nr && c_column == 1) {
    micro_rows<T>(rows, k, a, a_row, a_step, b, b_step, c, c_row, accumulate);
    return;
  }
  alignas(64) T local[kMr * nr];
  micro_rows<T>(rows, k, a, a_row, a_step, b, b_step, local, nr, false);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < columns; ++j) {
      T& target = c[r * c_row + j * c_column];
      target = accumulate ? target + local[r * nr + j] : local[r * nr + j];
    }
  }
}

template <class T>
void zero_result(const GemmArgs& g) {
  auto* c = static_cast<T*>(g.c);
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) c[i * g.c_row + j * g.c_column] = T(0);
  }
}

template <class T>
void gemm_packed(const GemmArgs& g) {
  constexpr int64_t nr = kNr<T>;
  const int64_t mc = kMcPanels * kMr, nc = kNcPanels * nr;
  auto* packed_a = static_cast<T*>(g.pack);
  auto* packed_b = packed_a + mc * kKc;
  auto* a = static_cast<const T*>(g.a);
  auto* b = static_cast<const T*>(g.b);
  auto* c = static_cast<T*>(g.c);
  if (g.k == 0 && !g.accumulate) return zero_result<T>(g);
  for (int64_t j0 = 0; j0 < g.n; j0 += nc) {
    const int64_t jn = g.n - j0 < nc ? g.n - j0 : nc;
    for (int64_t k0 = 0; k0 < g.k; k0 += kKc) {
      const int64_t kn = g.k - k0 < kKc ? g.k - k0 : kKc;
      const bool add = g.accumulate || k0 > 0;
      pack_panels<T>(packed_b, b + k0 * g.b_row + j0 * g.b_column, g.b_column, g.b_row, jn, kn, nr);
      for (int64_t i0 = 0; i0 < g.m; i0 += mc) {
        const int64_t in = g.m - i0 < mc ? g.m - i0 : mc;
        pack_panels<T>(packed_a, a + i0 * g.a_row + k0 * g.a_column, g.a_row, g.a_column, in, kn, kMr);
        for (int64_t j = 0; j < jn; j += nr) {
          for (int64_t i = 0; i < in; i += kMr) {
            tile<T>(in - i < kMr ? in - i : kMr, jn - j < nr ? jn - j : nr, kn, packed_a + i * kn, 1, kMr,
                    packed_b + j * kn, nr, c + (i0 + i) * g.c_row + (j0 + j) * g.c_column, g.c_row, g.c_column, add);
          }
        }
      }
    }
  }
}

// No packing: b's rows are dense, so a register tile reads them in place. The ragged right edge takes scalar columns.
template <class T>
void gemm_in_place(const GemmArgs& g) {
  constexpr int64_t nr = kNr<T>;
  auto* a = static_cast<const T*>(g.a);
  auto* b = static_cast<const T*>(g.b);
  auto* c = static_cast<T*>(g.c);
  if (g.k == 0 && !g.accumulate) return zero_result<T>(g);
  int64_t j = 0;
  for (; j + nr <= g.n; j += nr) {
    for (int64_t i = 0; i < g.m; i += kMr) {
      micro_rows<T>(g.m - i < kMr ? g.m - i : kMr, g.k, a + i * g.a_row, g.a_row, g.a_column, b + j, g.b_row,
                    c + i * g.c_row + j, g.c_row, g.accumulate);
    }
  }
  if (j == g.n) return;
  // The edge's columns of b, padded with zeros, in chunks of k that fit the pack area.
  auto* edge = static_cast<T*>(g.pack);
  for (int64_t k0 = 0; k0 < g.k; k0 += kKc) {
    const int64_t kn = g.k - k0 < kKc ? g.k - k0 : kKc;
    pack_panels<T>(edge, b + k0 * g.b_row + j, 1, g.b_row, g.n - j, kn, nr);
    for (int64_t i = 0; i < g.m; i += kMr) {
      tile<T>(g.m - i < kMr ? g.m - i : kMr, g.n - j, kn, a + i * g.a_row + k0 * g.a_column, g.a_row, g.a_column,
              edge, nr, c + i * g.c_row + j, g.c_row, 1, g.accumulate || k0 > 0);
    }
  }
}

inline void dot(const float* a, const float* b, int64_t n, float* out) {
  constexpr int64_t kLanes = 64;
  float lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lane[l] += a[i + l] * b[i + l];
  }
  for (int64_t l = 0; i < n; ++i, ++l) lane[l] += a[i] * b[i];
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  *out = lane[0];
}
inline void axpy(float scale, const float* __restrict x, float* __restrict y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += scale * x[i];
}

inline void fill_gemm_table(IsaTable& t) {
  t.gemm_f32 = gemm_packed<float>, t.gemm_f64 = gemm_packed<double>;
  t.gemm_small_f32 = gemm_in_place<float>, t.gemm_small_f64 = gemm_in_place<double>;
  // f64 panels are as wide in bytes and hence half as wide in elements: A dominates with 8 bytes an element.
  t.gemm_pack_bytes = kMcPanels * kMr * kKc * 8 + kNcPanels * kNv * kVectorBytes * kKc;
  t.gemm_small_pack_bytes = kNv * kVectorBytes * kKc;
  t.dot_f32 = dot;
  t.axpy_f32 = axpy;
}

}  // namespace
}  // namespace backplane::cpu
