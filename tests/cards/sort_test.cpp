// SPDX-License-Identifier: Apache-2.0
// Sorting and the best k: rows of every length class, both directions, equal elements, NaN and infinities, every dtype.
// Everything is exact, since elements only move and the order of equal ones is fixed.
#include <gtest/gtest.h>

#include <cmath>

#include "cards/compare.h"

namespace card_test {
namespace {

using Shape = std::vector<int64_t>;
using Sort = CardTest;

struct Example {
  Shape shape;
  uint32_t axis;
  int64_t k;  // 0: all of them, sorted
  bool descending;
  uint32_t dtype = BP_F32;
  Lay lay = Lay::dense;
};

/// Many equal elements among others; floats have both zeros, infinities and NaN.
double element(uint32_t dtype, int64_t at) {
  const int64_t mixed = (at * 2654435761 + 40503) >> 7 & 0xffff;
  if (dtype == BP_BOOL) return static_cast<double>(mixed & 1);
  if (dtype == BP_I64) return static_cast<double>(mixed - 30000) * 1e11;
  if (dtype == BP_I32) return mixed % 7 == 0 ? -2147483648.0 : static_cast<double>(mixed % 41 - 20);
  constexpr double kSpecial[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 1e-4, -1e-4, 2.5};
  return mixed % 5 == 0 ? kSpecial[mixed / 5 % 8] : static_cast<double>(mixed) / 64 - 512;
}

void check(const Example& e) {
  bp_sort_attrs attrs{};
  attrs.size = sizeof(attrs), attrs.axis = e.axis, attrs.descending = e.descending ? 1 : 0;
  Shape result = e.shape;
  if (e.k != 0) result[e.axis] = e.k;
  Case c;
  c.name = (e.k != 0 ? "top " + std::to_string(e.k) : std::string("sort")) + " of " + std::to_string(e.shape[e.axis]) +
           (e.descending ? " descending" : "") + " dtype " + std::to_string(e.dtype) + " lay " +
           std::to_string(static_cast<int>(e.lay));
  c.code = e.k != 0 ? BP_OP_TOP_K : BP_OP_SORT;
  c.attrs = &attrs;
  c.in = {lay_out(e.dtype, e.shape, e.lay)};
  c.out = {lay_out(e.dtype, result, e.lay == Lay::broadcast_first ? Lay::dense : e.lay), lay_out(BP_I32, result)};
  c.bound.exact = true;
  c.value = [&](size_t, int64_t at) { return element(e.dtype, at); };
  compare(c);
}

TEST_F(Sort, EveryDtypeBothDirections) {
  for (uint32_t dtype : {BP_F32, BP_I32, BP_F16, BP_BF16, BP_BOOL, BP_I64, BP_F64}) {
    for (bool descending : {false, true}) {
      check({{3, 100}, 1, 0, descending, dtype});
      check({{3, 100}, 1, 5, descending, dtype});
    }
  }
}
TEST_F(Sort, LengthsAroundRunsAndGroups) {
  for (int64_t n : {5000, 17, 1, 16, 33, 2049, 40000}) check({{2, n}, 1, 0, n % 2 == 0});
}
TEST_F(Sort, TheBestFewOfLongRows) {
  for (int64_t k : {3, 100, 16, 1, 17, 5000}) check({{2, 5000}, 1, k, k % 2 == 1});
  check({{1, 70000}, 1, 8, true});
  check({{600, 40}, 1, 2, true});
}
TEST_F(Sort, AnyAxisOfAnyLayout) {
  for (Lay lay : {Lay::permuted, Lay::reversed, Lay::padded, Lay::stepped, Lay::broadcast_first, Lay::dense}) {
    for (uint32_t axis : {0u, 1u, 2u}) {
      check({{6, 50, 7}, axis, 0, false, BP_F32, lay});
      check({{6, 50, 7}, axis, 4, true, BP_F32, lay});
    }
  }
}
TEST_F(Sort, EmptyRowsAndRowsOfNothing) {
  check({{3, 0}, 1, 0, false});
  check({{0, 3}, 1, 2, false});
}

}  // namespace
}  // namespace card_test
