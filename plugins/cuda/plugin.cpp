// SPDX-License-Identifier: Apache-2.0
// The CUDA card: NVIDIA GPUs through the driver API. Finds devices; memory, queues and kernels are in the other files, and
// what the kernels compute is in codegen.
#include <mutex>
#include <optional>

#include "backplane/sdk/plugin.hpp"
#include "backplane/sdk/plugin_collective.hpp"
#include "cuda_build_id.h"
#include "device.h"

namespace backplane::cuda {
namespace {

class Plugin {
 public:
  static constexpr sdk::PluginInfo kInfo{"cuda", "0.1.0", BACKPLANE_CUDA_BUILD_ID,
                                         "NVIDIA GPUs: kernels compiled by NVRTC, cuBLASLt, cuDNN"};
  using Device = cuda::Device;

  explicit Plugin(const sdk::Host& host) : host_(host) {}

  static const void* extra_interface(std::string_view name) {
    return name == BP_INTERFACE_COLLECTIVE ? &sdk::CollectiveThunks<Device>::kTable : nullptr;
  }

  std::vector<bp_device_info> devices() {
    std::vector<bp_device_info> infos;
    for (const DeviceEntry& entry : listing()) infos.push_back(entry.info);
    return infos;
  }

  std::unique_ptr<Device> open(uint32_t index) {
    const std::vector<DeviceEntry>& all = listing();
    if (index >= all.size()) {
      throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[cuda] there is no device " + std::to_string(index) + "; there are " +
                                                    std::to_string(all.size()));
    }
    std::lock_guard<std::mutex> lock(mutex_);
    if (!compiler_) compiler_.emplace(host_);
    if (!nvml_) nvml_.emplace(host_);
    return std::make_unique<Device>(host_, *compiler_, *nvml_, all[index]);
  }

 private:
  /// Made at the first question that has an answer, so that indices stay what they are.
  const std::vector<DeviceEntry>& listing() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (entries_.empty()) entries_ = list_devices(host_);
    return entries_;
  }

  sdk::Host host_;
  std::mutex mutex_;
  std::vector<DeviceEntry> entries_;
  std::optional<Compiler> compiler_;
  std::optional<Nvml> nvml_;
};

}  // namespace
}  // namespace backplane::cuda

BACKPLANE_PLUGIN(backplane::cuda::Plugin)
