// SPDX-License-Identifier: Apache-2.0
// The OpenCL card: any device with an OpenCL 1.2 driver. Finds devices; memory, queues and kernels are in the other
// files, and what the kernels compute is in codegen.
#include <mutex>
#include <optional>

#include "backplane/sdk/plugin.hpp"
#include "device.h"
#include "opencl_build_id.h"
#include "recording.h"

namespace backplane::opencl {
namespace {

class Plugin {
 public:
  static constexpr sdk::PluginInfo kInfo{"opencl", "0.1.0", BACKPLANE_OPENCL_BUILD_ID,
                                         "devices with an OpenCL 1.2 driver: kernels compiled from source"};
  using Device = opencl::Device;

  explicit Plugin(const sdk::Host& host) : host_(host) {}

  std::vector<bp_device_info> devices() {
    std::vector<bp_device_info> infos;
    for (const DeviceEntry& entry : listing().devices) infos.push_back(entry.info);
    if (infos.empty()) throw sdk::Failure(BP_E_UNAVAILABLE, listing().problem);
    return infos;
  }

  std::unique_ptr<Device> open(uint32_t index) {
    const std::vector<DeviceEntry>& all = listing().devices;
    if (all.empty()) throw sdk::Failure(BP_E_UNAVAILABLE, listing().problem);
    if (index >= all.size()) {
      throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[opencl] there is no device " + std::to_string(index) +
                                                    "; there are " + std::to_string(all.size()));
    }
    return std::make_unique<Device>(host_, all[index]);
  }

 private:
  /// Made at the first question, so that indices stay what they are.
  const Listing& listing() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!listing_) listing_ = list_devices(host_);
    return *listing_;
  }

  sdk::Host host_;
  std::mutex mutex_;
  std::optional<Listing> listing_;
};

}  // namespace
}  // namespace backplane::opencl

BACKPLANE_PLUGIN(backplane::opencl::Plugin)
