// SPDX-License-Identifier: Apache-2.0
// Moving elements: strided gather and scatter of a row, fill, tiled transposition, streaming copy.
#pragma once

#include <stdint.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "isa/isa_table.h"

namespace backplane::cpu {
namespace {

template <class T>
void gather_row(void* yv, const void* xv, int64_t stride, int64_t n) {
  auto* __restrict y = static_cast<T*>(yv);
  auto* __restrict x = static_cast<const T*>(xv);
  if (stride == 1) {
    __builtin_memcpy(y, x, static_cast<size_t>(n) * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < n; ++i) y[i] = x[i * stride];
}
template <class T>
void scatter_row(void* yv, const void* xv, int64_t stride, int64_t n) {
  auto* __restrict y = static_cast<T*>(yv);
  auto* __restrict x = static_cast<const T*>(xv);
  if (stride == 1) {
    __builtin_memcpy(y, x, static_cast<size_t>(n) * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < n; ++i) y[i * stride] = x[i];
}
template <class T>
void fill_row(void* yv, const void* xv, int64_t n) {
  auto* __restrict y = static_cast<T*>(yv);
  const T x = *static_cast<const T*>(xv);
  for (int64_t i = 0; i < n; ++i) y[i] = x;
}

template <class T>
inline void transpose_scalar(T* y, int64_t y_row, const T* x, int64_t x_column, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) y[r * y_row + c] = x[c * x_column + r];
  }
}
#if defined(__SSE2__)
// 4 x 4 elements in registers.
inline void transpose_4x4(float* y, int64_t y_row, const float* x, int64_t x_column) {
  __m128 a = _mm_loadu_ps(x), b = _mm_loadu_ps(x + x_column), c = _mm_loadu_ps(x + 2 * x_column),
         d = _mm_loadu_ps(x + 3 * x_column);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(y, a), _mm_storeu_ps(y + y_row, b), _mm_storeu_ps(y + 2 * y_row, c), _mm_storeu_ps(y + 3 * y_row, d);
}
#endif
// Blocks of 16 x 16 elements: both sides touch each cache line once.
template <class T>
void transpose_tile(void* yv, int64_t y_row, const void* xv, int64_t x_column, int64_t rows, int64_t columns) {
  auto* y = static_cast<T*>(yv);
  auto* x = static_cast<const T*>(xv);
  constexpr int64_t kTile = 16;
  for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
    const int64_t rn = rows - r0 < kTile ? rows - r0 : kTile;
    for (int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const int64_t cn = columns - c0 < kTile ? columns - c0 : kTile;
      T* target = y + r0 * y_row + c0;
      const T* source = x + c0 * x_column + r0;
#if defined(__SSE2__)
      if constexpr (sizeof(T) == 4) {
        if (rn == kTile && cn == kTile) {
          for (int64_t c = 0; c < kTile; c += 4) {
            for (int64_t r = 0; r < kTile; r += 4) {
              transpose_4x4(reinterpret_cast<float*>(target + r * y_row + c), y_row,
                            reinterpret_cast<const float*>(source + c * x_column + r), x_column);
            }
          }
          continue;
        }
      }
#endif
      transpose_scalar(target, y_row, source, x_column, rn, cn);
    }
  }
}

inline void stream_copy(void* dst, const void* src, size_t bytes) {
  auto* d = static_cast<char*>(dst);
  auto* s = static_cast<const char*>(src);
  size_t i = 0;
#if defined(__AVX512F__)
  for (; i + 64 <= bytes; i += 64) _mm512_stream_si512(reinterpret_cast<__m512i*>(d + i), _mm512_loadu_si512(s + i));
#elif defined(__AVX2__)
  for (; i + 32 <= bytes; i += 32) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(d + i),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(s + i)));
  }
#elif defined(__SSE2__)
  for (; i + 16 <= bytes; i += 16) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(d + i), _mm_loadu_si128(reinterpret_cast<const __m128i*>(s + i)));
  }
#endif
  if (i < bytes) __builtin_memcpy(d + i, s + i, bytes - i);
}

template <class T>
void fill_moves(IsaTable& t, int log2_size) {
  t.gather[log2_size] = gather_row<T>;
  t.scatter[log2_size] = scatter_row<T>;
  t.fill[log2_size] = fill_row<T>;
  t.transpose[log2_size] = transpose_tile<T>;
}
inline void fill_move_table(IsaTable& t) {
  fill_moves<uint8_t>(t, 0), fill_moves<uint16_t>(t, 1), fill_moves<uint32_t>(t, 2), fill_moves<uint64_t>(t, 3);
  t.stream = stream_copy;
}

}  // namespace
}  // namespace backplane::cpu
