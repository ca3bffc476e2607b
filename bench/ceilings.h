// SPDX-License-Identifier: Apache-2.0
// What a device does at the best, measured on it: arithmetic, the fastest right variant of large products, reading,
// writing and copying over working sets of several sizes, and one launch among many.
//
// Stages: all variants of several kernels for each are looked at by the tuner (ceiling_probes.h), the fastest right
// ones of them measured, interleaved. A ceiling is the tenth percentile of the fastest one's times, with its interval:
// what a row's median cannot be expected to beat.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "backplane/host/device.h"
#include "job.h"

namespace backplane::bench {

/// What the rows need.
struct Asked {
  std::set<std::string> dtypes;  ///< f32 is always among them
  double largest_working_set = 0;
};

Asked asked_of(const host::DevicePtr& device, const std::vector<std::unique_ptr<Job>>& jobs);

/// What the device refuses has no ceiling. Takes about `allowance.total_s`, somewhat longer where kernels have to be
/// compiled; where that is little, the large working sets and the less promising kernels are left out.
std::vector<report::Ceiling> measure_ceilings(const host::DevicePtr& device, const Asked& asked,
                                              const Allowance& allowance);

}  // namespace backplane::bench
