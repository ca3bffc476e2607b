// SPDX-License-Identifier: Apache-2.0
// One vector register of floats as a value, for kernels whose shape the compiler's loop vectoriser does not find: the
// native width of each instruction set, loads and stores of a part of one, e^x, and folding many vectors at once.
//
// Not a vector library: what only loops over elements need stays in plain loops.
#pragma once

#include <immintrin.h>
#include <stdint.h>

#include "isa/vector_math.h"

namespace backplane::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int kWide = 16;
#elif defined(__AVX2__)
constexpr int kWide = 8;
#else
constexpr int kWide = 4;
#endif
using Wide = float __attribute__((vector_size(4 * kWide)));
using WideInt = int32_t __attribute__((vector_size(4 * kWide)));

inline Wide all_lanes(float x) { return x - Wide{}; }
// Of a number and NaN: the second operand. (Masks of all lanes, because the plain intrinsics warn in GCC 12.)
#if defined(__AVX512F__)
inline Wide wide_max(Wide a, Wide b) { return _mm512_maskz_max_ps(0xffff, a, b); }
inline Wide wide_min(Wide a, Wide b) { return _mm512_maskz_min_ps(0xffff, a, b); }
#elif defined(__AVX2__)
inline Wide wide_max(Wide a, Wide b) { return _mm256_max_ps(a, b); }
inline Wide wide_min(Wide a, Wide b) { return _mm256_min_ps(a, b); }
#else
inline Wide wide_max(Wide a, Wide b) { return _mm_max_ps(a, b); }
inline Wide wide_min(Wide a, Wide b) { return _mm_min_ps(a, b); }
#endif

/// A whole vector at p.
struct Whole {
  Wide load(const float* p, float) const {
    Wide v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
  }
  void store(float* p, Wide v) const { __builtin_memcpy(p, &v, sizeof(v)); }
};

/// The first `count` lanes (fewer than kWide) at p; the others load as `fill` and are not stored.
struct Part {
  int64_t count;
#if defined(__AVX512F__)
  __mmask16 mask() const { return static_cast<__mmask16>((1u << count) - 1); }
  Wide load(const float* p, float fill) const { return _mm512_mask_loadu_ps(all_lanes(fill), mask(), p); }
  void store(float* p, Wide v) const { _mm512_mask_storeu_ps(p, mask(), v); }
#elif defined(__AVX2__)
  WideInt mask() const { return WideInt{0, 1, 2, 3, 4, 5, 6, 7} < static_cast<int32_t>(count); }
  Wide load(const float* p, float fill) const {
    return mask() ? Wide(_mm256_maskload_ps(p, reinterpret_cast<__m256i>(mask()))) : all_lanes(fill);
  }
  void store(float* p, Wide v) const { _mm256_maskstore_ps(p, reinterpret_cast<__m256i>(mask()), v); }
#else
  Wide load(const float* p, float fill) const {
    Wide v = all_lanes(fill);
    for (int l = 0; l < kWide; ++l) v[l] = l < count ? p[l] : v[l];
    return v;
  }
  void store(float* p, Wide v) const {
    for (int l = 0; l < count; ++l) p[l] = v[l];
  }
#endif
};

constexpr int kAhead = 4;  // vectors that do not wait for each other
/// f(offset, index of an accumulator, Whole or Part) over a row of n elements.
template <class F>
[[gnu::always_inline]] inline void each_vector(int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + kAhead * kWide <= n; i += kAhead * kWide) {
    f(i, 0, Whole{}), f(i + kWide, 1, Whole{}), f(i + 2 * kWide, 2, Whole{}), f(i + 3 * kWide, 3, Whole{});
  }
  for (; i + kWide <= n; i += kWide) f(i, 0, Whole{});
  if (i < n) f(i, 1, Part{n - i});
}

/// e^x by the polynomial of vexp, for x <= 89 or NaN. Where the result is 0 nothing underflows on the way: a masked
/// score of -inf must not cost a microcode assist.
inline Wide wide_exp(Wide x) {
  constexpr float kLeast = -104.0f;
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, found in the low bits
#if !defined(__AVX512F__)
  const WideInt zero = x < kLeast;
  x = reinterpret_cast<Wide>(reinterpret_cast<WideInt>(x) & ~zero);
#endif
  const Wide shifted = x * 1.44269504088896341f + kShift;
  const Wide n = shifted - kShift;
  const Wide r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  const Wide tail = ((((0.0001989198131f * r + 0.001393454193f) * r + 0.008333310024f) * r + 0.04166645681f) * r +
                     0.1666666668f) * r + 0.5000000014f;
  const Wide e = 1.0f + (r + r * r * tail);
#if defined(__AVX512F__)
  return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, all_lanes(kLeast), _CMP_NLT_UQ), e, n);
#else
  const WideInt k = reinterpret_cast<WideInt>(shifted) - static_cast<int32_t>(bits_of(kShift));
  const WideInt half = k >> 1;  // two factors, see vexp
  const Wide y = e * reinterpret_cast<Wide>((half + 127) << 23) * reinterpret_cast<Wide>((k - half + 127) << 23);
  return reinterpret_cast<Wide>(reinterpret_cast<WideInt>(y) & ~zero);
#endif
}

template <int... L>
struct LaneList {};
template <int N, int... L>
struct CountLanes : CountLanes<N - 1, N - 1, L...> {};
template <int... L>
struct CountLanes<0, L...> {
  using Type = LaneList<L...>;
};
/// Blocks of D lanes: those of a and b with even (First = 0) or odd (First = 1) numbers, taken in turns.
template <int D, int First, int... L>
inline Wide blocks_in_turn(Wide a, Wide b, LaneList<L...>) {
  return __builtin_shufflevector(a, b, (L / D % 2 * kWide + (L / D / 2 * 2 + First) * D + L % D)...);
}
/// Lane i of the result folds all lanes of v[i]: each round halves the number of vectors, for two shuffles and one f a
/// pair, where folding them one by one takes four of each. The order is the same for every lane.
template <int D = kWide / 2, class F>
[[gnu::always_inline]] inline Wide fold_each(Wide (&v)[kWide], F&& f) {
  using All = typename CountLanes<kWide>::Type;
#pragma GCC unroll 8
  for (int i = 0; i < D; ++i) {
    v[i] = f(blocks_in_turn<D, 0>(v[i], v[i + D], All{}), blocks_in_turn<D, 1>(v[i], v[i + D], All{}));
  }
  if constexpr (D == 1) return v[0];
  else return fold_each<D / 2>(v, f);
}

}  // namespace
}  // namespace backplane::cpu
