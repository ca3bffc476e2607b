// SPDX-License-Identifier: Apache-2.0
#include "surface.h"

#include <algorithm>
#include <cmath>

namespace backplane::test {

double Instance::best() const { return *std::min_element(ns.begin(), ns.end()); }

Instance make_instance(std::mt19937_64& engine) {
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(engine);
  };
  const size_t count = std::uniform_int_distribution<size_t>(2, 24)(engine);
  const double best = std::exp(uniform(std::log(2e3), std::log(2e6)));
  const double ties = uniform(0, 0.5);  // share of variants within 3 % of the best
  Instance instance;
  for (size_t i = 0; i < count; ++i) {
    const bool tie = uniform(0, 1) < ties;
    instance.ns.push_back(best * (tie ? 1 + uniform(0, 0.03) : std::exp(uniform(0, 1) * uniform(0, 2))));
  }
  // A default is what somebody thought best: of a few at random the fastest, sometimes just any.
  const size_t guesses = std::uniform_int_distribution<size_t>(1, 4)(engine);
  size_t chosen = 0;
  for (size_t g = 1; g < guesses; ++g) {
    const size_t other = std::uniform_int_distribution<size_t>(0, count - 1)(engine);
    if (instance.ns[other] < instance.ns[chosen]) chosen = other;
  }
  std::swap(instance.ns[0], instance.ns[chosen]);
  return instance;
}

Instance instance_of_shape(int64_t m, int64_t n, int64_t k) {
  std::mt19937_64 engine(static_cast<uint64_t>(m * 1'000'003 + n * 1'009 + k));
  return make_instance(engine);
}

}  // namespace backplane::test
