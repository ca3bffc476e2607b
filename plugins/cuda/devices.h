// SPDX-License-Identifier: Apache-2.0
// The NVIDIA GPUs of this machine, as the host sees them and as codegen does.
#pragma once

#include <vector>

#include "backplane/codegen/device_facts.h"
#include "driver.h"

namespace backplane::cuda {

struct DeviceEntry {
  CUdevice handle = 0;
  bp_device_info info{};
  codegen::DeviceFacts facts;
  int major = 0, minor = 0;  ///< compute capability
};

/// Throws BP_E_UNAVAILABLE when there is none that kernels can be compiled for.
std::vector<DeviceEntry> list_devices(const sdk::Host& host);

}  // namespace backplane::cuda
