// SPDX-License-Identifier: Apache-2.0
// The Vulkan card: every device with a Vulkan 1.2 driver that computes, listed with what the driver says about it. The
// driver is not touched before the host asks for devices.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "backplane/sdk/plugin.hpp"
#include "device.h"
#include "vulkan_build_id.h"

namespace backplane::vulkan {
namespace {

uint32_t kind_of(const Adapter& adapter) {
  switch (adapter.properties.deviceType) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return BP_KIND_GPU;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return BP_KIND_INTEGRATED_GPU;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return BP_KIND_CPU;
    default:
      return BP_KIND_OTHER;
  }
}

/// The device's UUID; with the driver's number where several drivers list the same device.
std::string id_of(const std::vector<Adapter>& all, const Adapter& adapter) {
  const auto hex = [](const Adapter& a) {
    std::string text;
    char byte[3];
    for (const uint8_t b : a.properties11.deviceUUID) {
      std::snprintf(byte, sizeof(byte), "%02x", b);
      text += byte;
    }
    return text;
  };
  const std::string id = hex(adapter);
  const auto same = std::count_if(all.begin(), all.end(), [&](const Adapter& other) { return hex(other) == id; });
  return same == 1 ? id : id + "-" + std::to_string(adapter.properties12.driverID);
}

bp_device_info describe(const std::vector<Adapter>& all, uint32_t index) {
  const Adapter& adapter = all[index];
  const uint32_t flags = (adapter.is_cpu() ? uint32_t{BP_DEVICE_SOFTWARE} : 0u) |
                         (adapter.unified() ? uint32_t{BP_DEVICE_UNIFIED_MEMORY | BP_DEVICE_HOST_POINTERS} : 0u);
  bp_device_info info =
      sdk::make_device_info(index, kind_of(adapter), flags, id_of(all, adapter), adapter.properties.deviceName);
  char text[64];
  std::snprintf(text, sizeof(text), "vulkan %04x:%04x subgroup %u", adapter.properties.vendorID,
                adapter.properties.deviceID, adapter.properties11.subgroupSize);
  sdk::copy_text(info.architecture, sizeof(info.architecture), text);
  sdk::copy_text(info.driver, sizeof(info.driver),
                 std::string(adapter.properties12.driverName) + " " + adapter.properties12.driverInfo);
  sdk::copy_text(info.pci, sizeof(info.pci), adapter.pci);
  std::memcpy(info.uuid, adapter.properties11.deviceUUID, sizeof(info.uuid));
  info.memory_total = adapter.device_memory();
  info.max_allocation = adapter.properties11.maxMemoryAllocationSize;
  info.offset_alignment = std::max<uint64_t>(16, adapter.properties.limits.minStorageBufferOffsetAlignment);
  info.compute_units = adapter.compute_units;
  info.max_queues = std::min<uint32_t>(adapter.queue_count, 8);
  return info;
}

struct VulkanPlugin {
  static constexpr sdk::PluginInfo kInfo{"vulkan", "0.1.0", BACKPLANE_VULKAN_BUILD_ID,
                                         "Vulkan 1.2 devices: compute kernels compiled by shaderc"};
  using Device = VulkanDevice;

  explicit VulkanPlugin(const sdk::Host& host) : host_(host) {}

  std::vector<bp_device_info> devices() {
    const std::vector<Adapter>& adapters = driver().adapters();
    std::vector<bp_device_info> infos;
    for (uint32_t index = 0; index < adapters.size(); ++index) infos.push_back(describe(adapters, index));
    return infos;
  }
  std::unique_ptr<VulkanDevice> open(uint32_t index) {
    const Driver& all = driver();
    if (index >= all.adapters().size()) {
      throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[vulkan] there is no device " + std::to_string(index) + ", only " +
                                                    std::to_string(all.adapters().size()));
    }
    return std::make_unique<VulkanDevice>(all, *compiler_, index);
  }

 private:
  /// Opened by the first call that needs it; a failure is not remembered, so a later call may find more.
  const Driver& driver() {
    std::lock_guard lock(mutex_);
    if (compiler_ == nullptr) compiler_ = std::make_unique<Compiler>(host_);
    if (driver_ == nullptr) driver_ = std::make_unique<Driver>(host_);
    return *driver_;
  }

  const sdk::Host host_;
  std::mutex mutex_;
  std::unique_ptr<Compiler> compiler_;
  std::unique_ptr<Driver> driver_;
};

}  // namespace
}  // namespace backplane::vulkan

BACKPLANE_PLUGIN(backplane::vulkan::VulkanPlugin)
