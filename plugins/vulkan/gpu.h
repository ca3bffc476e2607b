// SPDX-License-Identifier: Apache-2.0
// One opened VkDevice: its functions, its queues, what kernels may use of it, and whether it is lost.
//
// Every part of the plugin works on a Gpu. Device loss is remembered here: whoever sees it through `check` makes it the
// answer of every later call.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "backplane/codegen/device_facts.h"
#include "driver.h"

namespace backplane::vulkan {

constexpr uint32_t kMaxBuffers = 40;  ///< of one launch: the largest scalar program's operands and its words
constexpr uint32_t kMaxTexelBuffers = 32;  ///< of one launch
constexpr uint32_t kMaxWords = 64;    ///< 32-bit push constants of one launch

/// A VkQueue is used by one thread at a time; several of the host's queues may share one.
struct SharedQueue {
  VkQueue handle = nullptr;
  std::mutex mutex;
};

class Gpu {
 public:
  Gpu(const Driver& driver, uint32_t index);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  // All of these are fixed once the device is open.
  DeviceApi vk;
  VkDevice handle = nullptr;
  const Adapter& adapter;
  const InstanceApi& instance;
  const sdk::Host& host;
  codegen::DeviceFacts facts;
  bool subgroup_control = false;  ///< pipelines can be told their subgroup size
  bool host_import = false;       ///< VK_EXT_external_memory_host
  bool memory_budget = false;     ///< VK_EXT_memory_budget
  bool calibrated = false;        ///< VK_EXT_calibrated_timestamps with CLOCK_MONOTONIC

  /// Base addresses of bound ranges are multiples of this, at least 16 so that vector loads stay aligned.
  uint64_t binding_alignment() const { return binding_alignment_; }

  SharedQueue& next_queue();

  /// Throws for failures; VK_ERROR_DEVICE_LOST is remembered and reported to the host once.
  void check(VkResult result, const char* what);
  /// Throws once the device is lost.
  void require_alive() const;
  bool lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  struct Features;
  void create(const Features& wanted);
  void fill_facts(const Features& has);
  std::vector<codegen::CooperativeMatrix> cooperative_matrices() const;

  const uint32_t index_;
  uint64_t binding_alignment_ = 16;
  std::vector<std::unique_ptr<SharedQueue>> queues_;
  std::atomic<uint32_t> next_{0};
  std::atomic<bool> lost_{false};
};

}  // namespace backplane::vulkan
