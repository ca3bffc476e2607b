// SPDX-License-Identifier: Apache-2.0
// What a device does at the best, measured on it: arithmetic in a pointwise program (four independent chains of
// multiply-adds over registers), the fastest right variant of a large product, reading, writing and copying over
// working sets of several sizes, and one launch among many. Medians of interleaved rounds, with intervals.
#pragma once

#include <string>
#include <vector>

#include "backplane/host/device.h"
#include "job.h"

namespace backplane::bench {

/// dtypes: those of the rows; f32 is always among them. What the device refuses has no ceiling.
std::vector<report::Ceiling> measure_ceilings(const host::DevicePtr& device, const std::vector<std::string>& dtypes,
                                              const Allowance& allowance);

}  // namespace backplane::bench
