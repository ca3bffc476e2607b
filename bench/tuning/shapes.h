// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "case.h"

namespace backplane::bench {

/// What bench/tuning_sweep measures the tuner with.
std::vector<Case> sweep_cases();

}  // namespace backplane::bench
