// SPDX-License-Identifier: Apache-2.0
// Softmax, its logarithm and their gradients over several rows at once, f32.
//
// Three passes over a group of rows that stays in the first-level cache: maximum, exponentials and their sum, scale.
// What a row folds to is found for as many rows as a vector has lanes together, so that short rows do not pay a
// horizontal sum each; a row's result does not depend on its neighbours.
// NaN and infinities need no care: the maximum passes over NaN, but e^(NaN - maximum) makes the sum NaN and with it the
// row; a row of nothing but -inf, and one with +inf, meet inf - inf.
// Not here: a one-pass ("online") form, which evaluates twice as many exponentials.
#pragma once

#include <stdint.h>

#include "isa/isa_table.h"
#include "isa/wide.h"

namespace backplane::cpu {
namespace {

struct Max {
  Wide operator()(Wide a, Wide b) const { return wide_max(a, b); }
};
struct Add {
  Wide operator()(Wide a, Wide b) const { return a + b; }
};

struct SoftmaxGroup {
  static constexpr int64_t kElements = 2048;  // of a group: 8 KB an operand
  const RowsOf* operand;
  int64_t first, rows, n;
  float* row(int i, int64_t r) const { return operand[i].base + operand[i].at[first + r]; }
};

/// Lane r of the result folds term(row r)(offset, part) over the row; lanes of rows that are not there are `start`.
template <class Fold, class Term>
[[gnu::always_inline]] inline Wide fold_rows(const SoftmaxGroup& g, float start, Term&& term) {
  const Fold fold;
  Wide sums[kWide];
  for (int64_t r = 0; r < kWide; ++r) sums[r] = all_lanes(start);
  for (int64_t r = 0; r < g.rows; ++r) {
    Wide lane[kAhead] = {all_lanes(start), all_lanes(start), all_lanes(start), all_lanes(start)};
    const auto of_row = term(r);
    each_vector(g.n, [&](int64_t i, int k, auto part) { lane[k] = fold(of_row(i, part), lane[k]); });
    sums[r] = fold(fold(lane[0], lane[1]), fold(lane[2], lane[3]));
  }
  return fold_each(sums, fold);
}

/// The largest element of every row.
inline Wide tops_of(const SoftmaxGroup& g) {
  return fold_rows<Max>(g, -kInf, [&](int64_t r) {
    return [x = g.row(0, r)](int64_t i, auto part) { return part.load(x + i, -kInf); };
  });
}

inline void softmax_group(const SoftmaxGroup& g) {
  float top[kWide], scale[kWide];
  Whole{}.store(top, tops_of(g));
  const Wide sum = fold_rows<Add>(g, 0.0f, [&](int64_t r) {
    return [x = g.row(0, r), y = g.row(1, r), shift = all_lanes(top[r])](int64_t i, auto part) {
      const Wide e = wide_exp(part.load(x + i, -kInf) - shift);
      part.store(y + i, e);
      return e;
    };
  });
  Whole{}.store(scale, 1.0f / sum);
  for (int64_t r = 0; r < g.rows; ++r) {
    float* y = g.row(1, r);
    const Wide factor = all_lanes(scale[r]);
    each_vector(g.n, [=](int64_t i, int, auto part) { part.store(y + i, part.load(y + i, 0.0f) * factor); });
  }
}

inline void log_softmax_group(const SoftmaxGroup& g) {
  float top[kWide], sum[kWide], log_sum[kWide];
  Whole{}.store(top, tops_of(g));
  Whole{}.store(sum, fold_rows<Add>(g, 0.0f, [&](int64_t r) {
    return [x = g.row(0, r), shift = all_lanes(top[r])](int64_t i, auto part) {
      return wide_exp(part.load(x + i, -kInf) - shift);
    };
  }));
  for (int64_t r = 0; r < kWide; ++r) log_sum[r] = vlog(sum[r]);
  for (int64_t r = 0; r < g.rows; ++r) {
    const float* x = g.row(0, r);
    float* y = g.row(1, r);
    const Wide shift = all_lanes(top[r]), rest = all_lanes(log_sum[r]);
    each_vector(g.n, [=](int64_t i, int, auto part) { part.store(y + i, (part.load(x + i, 0.0f) - shift) - rest); });
  }
}

/// Operands y, dy, dx: dx = gradient(y, dy, lane r of `sum`).
template <class Gradient>
[[gnu::always_inline]] inline void store_gradient(const SoftmaxGroup& g, Wide sum, Gradient&& gradient) {
  float sums[kWide];
  Whole{}.store(sums, sum);
  for (int64_t r = 0; r < g.rows; ++r) {
    const float *y = g.row(0, r), *dy = g.row(1, r);
    float* dx = g.row(2, r);
    const Wide row_sum = all_lanes(sums[r]);
    each_vector(g.n, [=](int64_t i, int, auto part) {
      part.store(dx + i, gradient(part.load(y + i, 0.0f), part.load(dy + i, 0.0f), row_sum));
    });
  }
}
inline void softmax_grad_group(const SoftmaxGroup& g) {
  const Wide dot = fold_rows<Add>(g, 0.0f, [&](int64_t r) {
    return [y = g.row(0, r), dy = g.row(1, r)](int64_t i, auto part) {
      return part.load(y + i, 0.0f) * part.load(dy + i, 0.0f);
    };
  });
  store_gradient(g, dot, [](Wide y, Wide dy, Wide sum) { return y * (dy - sum); });
}
inline void log_softmax_grad_group(const SoftmaxGroup& g) {
  const Wide sum = fold_rows<Add>(g, 0.0f, [&](int64_t r) {
    return [dy = g.row(1, r)](int64_t i, auto part) { return part.load(dy + i, 0.0f); };
  });
  store_gradient(g, sum, [](Wide y, Wide dy, Wide total) {
    return dy - wide_exp(wide_min(all_lanes(89.0f), y)) * total;
  });
}

template <void (*Group)(const SoftmaxGroup&)>
void softmax_rows(const RowsOf* operand, int64_t rows, int64_t n) {
  int64_t step = SoftmaxGroup::kElements / n;
  step = step < 1 ? 1 : step > kWide ? kWide : step;
  for (int64_t first = 0; first < rows; first += step) {
    Group({operand, first, rows - first < step ? rows - first : step, n});
  }
}

inline void fill_softmax_table(IsaTable& t) {
  t.softmax = softmax_rows<softmax_group>, t.log_softmax = softmax_rows<log_softmax_group>;
  t.softmax_grad = softmax_rows<softmax_grad_group>, t.log_softmax_grad = softmax_rows<log_softmax_grad_group>;
}

}  // namespace
}  // namespace backplane::cpu
