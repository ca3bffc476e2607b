// SPDX-License-Identifier: Apache-2.0
// Device memory in big blocks, cut into buffers: one VkDeviceMemory with one VkBuffer over all of it, and a list of
// free ranges. Vulkan allows few allocations, and each costs a system call.
//
// Blocks that become empty are kept for later requests up to a limit; when the device has no more memory they go first.
#pragma once

#include <list>
#include <map>
#include <mutex>

#include "backplane/plugin.h"
#include "gpu.h"

namespace backplane::vulkan {

struct Block {
  VkDeviceMemory memory = VK_NULL_HANDLE;
  VkBuffer buffer = VK_NULL_HANDLE;
  uint64_t bytes = 0;
  char* mapped = nullptr;             ///< NULL where the host cannot see it
  uint32_t type = 0;                  ///< Vulkan's memory type
  bool imported = false;              ///< the host's memory, not ours
  std::map<uint64_t, uint64_t> free;  ///< offset -> bytes
};

/// A range of a block; what a bp_buffer is.
struct Allocation {
  Block* block = nullptr;
  uint64_t offset = 0;
  uint64_t bytes = 0;  ///< as asked for
  char* mapped() const { return block->mapped != nullptr ? block->mapped + offset : nullptr; }
};

class Memory {
 public:
  explicit Memory(Gpu& gpu);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  Gpu& gpu() const { return gpu_; }
  /// Throws BP_E_OUT_OF_MEMORY. `kind` is BP_MEMORY_*.
  Allocation take(uint64_t bytes, uint32_t kind);
  /// The caller's memory as a buffer; throws BP_E_UNSUPPORTED where address or size do not suit.
  Allocation import_host(void* data, uint64_t bytes);
  void give(const Allocation& allocation);

  /// Every buffer of BP_MEMORY_DEVICE has a host address.
  bool all_mapped() const { return mapped_[BP_MEMORY_DEVICE]; }
  uint64_t used() const;
  uint64_t reserved() const;
  uint64_t largest_allocation() const { return largest_; }
  /// What the driver thinks is left on the heap of device memory; 0 when it does not say.
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget() const;
  uint32_t device_heap() const;

 private:
  uint32_t choose_type(uint32_t kind) const;
  Block* make_block(uint64_t bytes, uint32_t kind);
  Block* try_block(uint64_t bytes, uint32_t kind);
  void destroy(Block& block);
  bool release_empty(uint64_t keep);
  VkBuffer create_buffer(uint64_t bytes, bool external);

  Gpu& gpu_;
  mutable std::mutex mutex_;
  std::list<Block> blocks_;
  uint32_t type_[2] = {0, 0};  ///< by kind
  bool mapped_[2] = {false, true};
  uint64_t alignment_ = 256;
  uint64_t block_bytes_ = 0, keep_bytes_ = 0, cap_ = 0, largest_ = 0;
  uint64_t used_ = 0, reserved_ = 0;
};

}  // namespace backplane::vulkan
