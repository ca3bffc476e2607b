// SPDX-License-Identifier: Apache-2.0
// Declared cost surfaces: the true time of every variant of a problem, known to the plugin and to the tests alike.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace backplane::test {

struct Instance {
  std::vector<double> ns;  ///< true times; 0 is the default
  double best() const;
};
/// Clusters of near-ties, wide spreads, good and bad defaults: from 2 to 24 variants of 2 us to 2 ms.
Instance make_instance(std::mt19937_64& engine);
/// The surface at one shape of a matrix product.
Instance instance_of_shape(int64_t m, int64_t n, int64_t k);

}  // namespace backplane::test
