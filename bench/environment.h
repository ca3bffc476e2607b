// SPDX-License-Identifier: Apache-2.0
// What is true of this machine and build while a sweep runs.
#pragma once

#include <optional>
#include <string>

#include "backplane/host/device.h"
#include "report/results.h"

namespace backplane::bench {

/// All but the load at the end and the noise floor.
report::Environment environment();
std::optional<double> load_average();
report::Device describe(const host::Device& device);
std::string utc_now();

/// Cores that devices on the host use: BACKPLANE_NUM_THREADS, or all.
int cores_used();

/// Why rows of one run must not be mixed with those of the other: "another build: ..."; empty when they may.
std::string difference(const report::Run& there, const report::Run& here);

}  // namespace backplane::bench
