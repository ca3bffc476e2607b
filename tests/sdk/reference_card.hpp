// SPDX-License-Identifier: Apache-2.0
// The reference card, opened once, and the gradient check that all its *_GRAD operations share.
#pragma once

#include <cmath>
#include <limits>

#include "card.hpp"

namespace backplane::testing {

constexpr double kInf = std::numeric_limits<double>::infinity();
inline const double kNaN = std::nan("");

inline Card& card() {
  static Card* instance = new Card(REFERENCE_PLUGIN);
  return *instance;
}

inline double weighted_sum(Case c, const Tensor& weights) {
  card().run(c);
  double sum = 0;
  for (int64_t i = 0; i < weights.size(); ++i) sum += weights.at(i) * c.outputs[0].at(i);
  return sum;
}

/// The gradient of sum(dy * output 0) with respect to input `which`, by central differences. Everything is f64.
inline std::vector<double> numeric_gradient(const Case& forward, size_t which, const Tensor& dy) {
  const double h = 1e-5;
  std::vector<double> result;
  for (int64_t i = 0; i < forward.inputs[which].size(); ++i) {
    Case plus = forward, minus = forward;
    plus.inputs[which].set(i, forward.inputs[which].at(i) + h);
    minus.inputs[which].set(i, forward.inputs[which].at(i) - h);
    result.push_back((weighted_sum(plus, dy) - weighted_sum(minus, dy)) / (2 * h));
  }
  return result;
}

inline void expect_near(const Tensor& actual, const std::vector<double>& expected, double tolerance,
                        const char* what) {
  ASSERT_EQ(static_cast<size_t>(actual.size()), expected.size());
  for (int64_t i = 0; i < actual.size(); ++i) {
    const double want = expected[static_cast<size_t>(i)];
    if (actual.at(i) == want) continue;  // infinities too
    ASSERT_NEAR(actual.at(i), want, tolerance * (1 + std::abs(want))) << what << " element " << i;
  }
}

}  // namespace backplane::testing
