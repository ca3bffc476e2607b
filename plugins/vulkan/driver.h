// SPDX-License-Identifier: Apache-2.0
// The loader and one VkInstance: what is installed, and which physical devices can compute.
//
// Nothing here opens a device. A missing loader, an instance that cannot be made or a machine without a suitable device
// is a Failure with BP_E_UNAVAILABLE that says which of these it is.
#pragma once

#include <string>
#include <vector>

#include "api.h"
#include "backplane/sdk/negotiate.hpp"

namespace backplane::vulkan {

/// What a physical device says about itself, asked once.
struct Adapter {
  VkPhysicalDevice handle = nullptr;
  VkPhysicalDeviceProperties properties{};
  VkPhysicalDeviceVulkan11Properties properties11{};
  VkPhysicalDeviceVulkan12Properties properties12{};
  VkPhysicalDeviceMemoryProperties memory{};
  std::vector<std::string> extensions;
  uint32_t queue_family = 0;
  uint32_t queue_count = 1;
  uint32_t timestamp_bits = 0;
  uint32_t compute_units = 0;  ///< 0: the driver does not tell
  std::string pci;

  bool has(const char* extension) const;
  bool is_cpu() const { return properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU; }
  /// All memory is the host's, too.
  bool unified() const;
  uint64_t device_memory() const;
};

class Driver {
 public:
  explicit Driver(const sdk::Host& host);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  const std::vector<Adapter>& adapters() const { return adapters_; }
  const InstanceApi& api() const { return api_; }
  const sdk::Host& host() const { return host_; }

 private:
  void open_loader();
  void create_instance();
  void list_adapters();
  std::string describe(VkPhysicalDevice device, Adapter& adapter) const;

  sdk::Host host_;
  GlobalApi global_;
  InstanceApi api_;
  VkInstance instance_ = nullptr;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::vector<Adapter> adapters_;
};

}  // namespace backplane::vulkan
