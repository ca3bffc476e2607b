// SPDX-License-Identifier: Apache-2.0
// Which variants a tuning looks at, and in which order.
#pragma once

#include <string>
#include <vector>

#include "backplane/autotune/race.h"

namespace backplane::autotune {

/// The default, the incumbent, then by what the request or the plugin expects of them.
std::vector<host::Variant> ordered_variants(const host::DevicePtr& device, const bp_op& op, const Request& request);

/// Why earlier measurements, or without them the plugin's own guess, speak against launching a variant even once; empty
/// when they do not. `best_ns` is the shortest launch so far.
std::string unpromising(const host::Variant& variant, const std::string& default_variant, double best_ns,
                        const Request& request);

}  // namespace backplane::autotune
