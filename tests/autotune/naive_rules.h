// SPDX-License-Identifier: Apache-2.0
// Rules that other tuners choose by, on the same simulated course as the race: limits that these keep would prove
// nothing.
#pragma once

#include <span>

#include "simulation.h"

namespace backplane::test {

struct NaiveRule {
  const char* name;
  /// The variant that it chooses. It knows neither a default nor what was chosen before.
  size_t (*choose)(autotune::Course& course, size_t variants);
};
std::span<const NaiveRule> naive_rules();

}  // namespace backplane::test
