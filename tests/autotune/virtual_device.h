// SPDX-License-Identifier: Apache-2.0
// The devices of tests/plugins/virtual_clock, their clock, and matrix products to tune on them.
#pragma once

#include <string>
#include <vector>

#include "backplane/autotune/race.h"
#include "backplane/host/registry.h"

namespace backplane::test {

/// By the id that the plugin gives it: "noise-quiet", "fault-one-nan". `build`: which build of the plugin.
host::DevicePtr virtual_device(const std::string& id, int build = 1);
host::DevicePtr reference_device();
/// What the device's own clock shows.
int64_t virtual_ns(host::Device& device);

/// c[m, n] = a[m, k] b[k, n].
struct Product {
  Product(int64_t m, int64_t n, int64_t k, uint32_t dtype = BP_F32);
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;
  bp_tensor_desc in[2], out[1];
  bp_op op{};
};

/// Budget by the device's clock, right results from the reference device.
autotune::Request virtual_request(const host::DevicePtr& device);

}  // namespace backplane::test
