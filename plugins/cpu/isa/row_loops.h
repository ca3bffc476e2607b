// SPDX-License-Identifier: Apache-2.0
// Whole-row kernels in f32: the moments that normalisation needs and its passes, pooling, Philox random words.
// Softmax is in softmax_loops.h.
#pragma once

#include <stdint.h>

#include "isa/isa_table.h"
#include "isa/scalar_loops.h"

namespace backplane::cpu {
namespace {

constexpr int64_t kLanes = 64;

inline float fold_sum(float (&lane)[kLanes]) {
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t l = 0; l < half; ++l) lane[l] += lane[l + half];
  }
  return lane[0];
}
inline void sum_squares(const float* x, int64_t n, double* sum) {
  float lane[kLanes] = {};
  double total = 0;
  int64_t i = 0;
  for (int64_t since = 0; i + kLanes <= n; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lane[l] += x[i + l] * x[i + l];
    if (++since == 64) {  // carry over to f64 now and then: the error stays that of 64 additions
      total += fold_sum(lane), since = 0;
      for (int64_t l = 0; l < kLanes; ++l) lane[l] = 0;
    }
  }
  for (int64_t l = 0; i < n; ++i, ++l) lane[l] += x[i] * x[i];
  *sum = total + fold_sum(lane);
}
// Two passes: the mean first, so that the squares cancel nothing.
inline void moments(const float* x, int64_t n, double* mean, double* m2) {
  double total = 0;
  for (int64_t i = 0; i < n; i += 4096) {
    const int64_t m = n - i < 4096 ? n - i : 4096;
    total += fold_row<float, f_add<float>>(x + i, 1, m, 0.0f);
  }
  *mean = total / static_cast<double>(n);
  const float center = static_cast<float>(*mean);
  double squares = 0;
  for (int64_t i = 0; i < n; i += 4096) {
    float lane[kLanes] = {};
    const int64_t end = n - i < 4096 ? n : i + 4096;
    int64_t j = i;
    for (; j + kLanes <= end; j += kLanes) {
      for (int64_t l = 0; l < kLanes; ++l) lane[l] += (x[j + l] - center) * (x[j + l] - center);
    }
    for (int64_t l = 0; j < end; ++j, ++l) lane[l] += (x[j] - center) * (x[j] - center);
    squares += fold_sum(lane);
  }
  // `center` was rounded: take its distance from the mean out again.
  const double off = *mean - static_cast<double>(center);
  *m2 = squares - static_cast<double>(n) * off * off;
}

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): counter (lo(b), hi(b), key[2],
// key[3]) under key (key[0], key[1]).
inline void philox_blocks(uint64_t first, int64_t blocks, const uint32_t key[4], uint32_t* out) {
  constexpr int64_t kWide = 16;
  for (int64_t base = 0; base < blocks; base += kWide) {
    uint32_t c0[kWide], c1[kWide], c2[kWide], c3[kWide];
    for (int64_t l = 0; l < kWide; ++l) {
      const uint64_t b = first + static_cast<uint64_t>(base + l);
      c0[l] = static_cast<uint32_t>(b), c1[l] = static_cast<uint32_t>(b >> 32);
      c2[l] = key[2], c3[l] = key[3];
    }
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; ++round) {
      for (int64_t l = 0; l < kWide; ++l) {
        const uint64_t p0 = uint64_t{0xD2511F53u} * c0[l];
        const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2[l];
        const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1[l] ^ k0;
        const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3[l] ^ k1;
        c1[l] = static_cast<uint32_t>(p1);
        c3[l] = static_cast<uint32_t>(p0);
        c0[l] = n0, c2[l] = n2;
      }
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    const int64_t n = blocks - base < kWide ? blocks - base : kWide;
    for (int64_t l = 0; l < n; ++l) {
      uint32_t* w = out + 4 * (base + l);
      w[0] = c0[l], w[1] = c1[l], w[2] = c2[l], w[3] = c3[l];
    }
  }
}

/// In blocks, so that the first of many NaN ends the search.
inline bool all_finite(const float* x, int64_t n) {
  constexpr int64_t kBlock = 4096;
  using Bits = uint32_t __attribute__((may_alias));
  const auto* bits = reinterpret_cast<const Bits*>(x);
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t end = first + kBlock < n ? first + kBlock : n;
    uint32_t largest = 0;
    for (int64_t i = first; i < end; ++i) {
      const uint32_t magnitude = bits[i] & 0x7fffffffu;
      largest = largest > magnitude ? largest : magnitude;
    }
    if (largest >= 0x7f800000u) return false;
  }
  return true;
}

// --- pooling: one tap over a row of outputs -----------------------------------------------------------------------
inline void pool_max(float* sums, const float* x, int64_t step, int64_t n) {
  if (step == 1) {
    for (int64_t i = 0; i < n; ++i) sums[i] = f_max(sums[i], x[i]);
  } else if (step == 2) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) sums[i] = f_max(sums[i], x[2 * i]);
  } else {
    for (int64_t i = 0; i < n; ++i) sums[i] = f_max(sums[i], x[i * step]);
  }
}
inline void pool_add(float* sums, const float* x, int64_t step, int64_t n) {
  if (step == 1) {
    for (int64_t i = 0; i < n; ++i) sums[i] += x[i];
  } else {
    for (int64_t i = 0; i < n; ++i) sums[i] += x[i * step];
  }
}

// --- normalisation: a stretch of one group, scale and shift dense
// -----------------------------------------------------
inline void normalize_row(const float* x, const float* scale, const float* shift, float mean, float rstd, float* y,
                          int64_t n) {
#pragma GCC ivdep  // y may be x
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * rstd * scale[i] + shift[i];
}
/// sums: of g = dy * scale, of g * h, of dy, of dy * h, with h = (x - mean) * rstd.
inline void normalize_grad_sums(const float* dy, const float* x, const float* scale, float mean, float rstd, int64_t n,
                                double sums[4]) {
  float lane[4][32] = {};
  int64_t i = 0;
  const auto add = [&](int64_t at, int64_t l) {
    const float h = (x[at] - mean) * rstd, g = dy[at] * scale[at];
    lane[0][l] += g, lane[1][l] += g * h, lane[2][l] += dy[at], lane[3][l] += dy[at] * h;
  };
  for (; i + 32 <= n; i += 32) {
    for (int64_t l = 0; l < 32; ++l) add(i + l, l);
  }
  for (int64_t l = 0; i < n; ++i, ++l) add(i, l);
  for (int k = 0; k < 4; ++k) {
    for (int64_t half = 16; half > 0; half /= 2) {
      for (int64_t l = 0; l < half; ++l) lane[k][l] += lane[k][l + half];
    }
    sums[k] += lane[k][0];
  }
}
/// dx = rstd * (g - mean_g - h * mean_gh).
inline void normalize_grad_row(const float* dy, const float* x, const float* scale, float mean, float rstd,
                               float mean_g, float mean_gh, float* dx, int64_t n) {
#pragma GCC ivdep  // dx may be dy or x
  for (int64_t i = 0; i < n; ++i) {
    const float h = (x[i] - mean) * rstd;
    dx[i] = rstd * (dy[i] * scale[i] - mean_g - h * mean_gh);
  }
}
/// dscale += dy * h, dshift += dy.
inline void normalize_grad_columns(const float* dy, const float* x, float mean, float rstd, float* dscale,
                                   float* dshift, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    dscale[i] += dy[i] * ((x[i] - mean) * rstd);
    dshift[i] += dy[i];
  }
}

inline void fill_row_table(IsaTable& t) {
  t.pool_max = pool_max, t.pool_add = pool_add;
  t.normalize = normalize_row, t.normalize_grad_sums = normalize_grad_sums;
  t.normalize_grad = normalize_grad_row, t.normalize_grad_columns = normalize_grad_columns;
  t.moments = moments, t.sum_squares = sum_squares;
  t.all_finite = all_finite;
  t.philox = philox_blocks;
}

}  // namespace
}  // namespace backplane::cpu
