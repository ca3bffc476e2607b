// SPDX-License-Identifier: Apache-2.0
// What OpenCL offers on this machine: every device of every platform, as the host sees it and as codegen does.
#pragma once

#include <string>
#include <vector>

#include "backplane/codegen/device_facts.h"
#include "backplane/sdk/negotiate.hpp"
#include "loader.h"

namespace backplane::opencl {

struct DeviceEntry {
  cl_platform_id platform = nullptr;
  cl_device_id id = nullptr;
  bp_device_info info{};
  codegen::DeviceFacts facts;
  std::string build_options;
  std::string toolchain;            ///< everything a compiled program depends on besides its source and options
  bool host_memory = false;         ///< runs on the CPU: buffers are ordinary host memory, used in place
  double profiling_resolution = 1;  ///< ns
};

struct Listing {
  std::vector<DeviceEntry> devices;
  std::string problem;  ///< why there is none
};

/// Starts the drivers. A platform or device that fails is logged and left out, the others remain.
Listing list_devices(const sdk::Host& host);

}  // namespace backplane::opencl
