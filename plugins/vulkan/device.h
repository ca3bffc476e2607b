// SPDX-License-Identifier: Apache-2.0
// A bp_device: the parts of an opened device put together, and its answers about operations.
#pragma once

#include "backplane/sdk/answers.hpp"
#include "timing.h"

namespace backplane::vulkan {

class VulkanDevice {
 public:
  using Buffer = vulkan::Buffer;
  using Queue = vulkan::Queue;
  using Event = vulkan::Event;
  using Kernel = vulkan::Kernel;

  VulkanDevice(const Driver& driver, const Compiler& compiler, uint32_t index);

  std::unique_ptr<Buffer> alloc(uint64_t bytes, uint32_t kind) {
    return std::make_unique<Buffer>(memory_, memory_.take(bytes, kind));
  }
  std::unique_ptr<Buffer> import_host(void* data, uint64_t bytes, uint32_t /*access*/) {
    return std::make_unique<Buffer>(memory_, memory_.import_host(data, bytes));
  }
  bp_memory_usage usage();
  std::unique_ptr<Queue> create_queue() { return std::make_unique<Queue>(memory_); }
  std::unique_ptr<Event> create_event();
  void query(const bp_op& op, sdk::Support& support);
  void variants(const bp_op& op, std::vector<bp_variant>& list);
  std::unique_ptr<Kernel> prepare(const bp_op& op, const char* variant);
  std::vector<bp_metric> sample();
  bp_timing_info timing_info();
  std::unique_ptr<Timer> create_timer(uint32_t stamps);
  void calibrate(uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns);
  static void* native(void* handle, uint32_t what);

  Gpu& gpu() { return gpu_; }

 private:
  void need_timestamps();  ///< throws BP_E_UNSUPPORTED without

  Gpu gpu_;
  Memory memory_;
  Pipelines pipelines_;
  std::unique_ptr<Buffer> dummy_;  ///< what pipelines are warmed up with
  std::shared_ptr<Stream> warm_stream_;
};

}  // namespace backplane::vulkan
