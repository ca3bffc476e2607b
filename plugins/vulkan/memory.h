// SPDX-License-Identifier: Apache-2.0
// Device memory in big blocks, cut into buffers: one VkDeviceMemory with one VkBuffer over all of it. Vulkan allows few
// allocations, and each costs a system call.
#pragma once

#include <memory>

#include "backplane/devicekit/pool.h"
#include "backplane/plugin.h"
#include "gpu.h"

namespace backplane::vulkan {

struct Block : devicekit::Chunk {
  explicit Block(Gpu& gpu) : gpu(gpu) {}
  ~Block() override;
  Gpu& gpu;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  VkBuffer buffer = VK_NULL_HANDLE;
  char* mapped = nullptr;  ///< NULL where the host cannot see it
  bool imported = false;   ///< the host's memory, not ours: a block of its own for one buffer
};

/// A range of a block; what a bp_buffer is.
struct Allocation {
  Block* block = nullptr;
  uint64_t offset = 0;
  uint64_t bytes = 0;  ///< as asked for
  uint32_t kind = 0;
  char* mapped() const { return block->mapped != nullptr ? block->mapped + offset : nullptr; }
};

class Memory {
 public:
  explicit Memory(Gpu& gpu);
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
  uint64_t used() const { return pool_->used(); }
  uint64_t reserved() const { return pool_->reserved(); }
  /// What the driver thinks is left on the heap of device memory; 0 when it does not say.
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget() const;
  uint32_t device_heap() const;

 private:
  uint32_t choose_type(uint32_t kind) const;
  devicekit::PoolLimits limits() const;
  std::unique_ptr<devicekit::Chunk> make_block(uint64_t bytes, uint32_t kind);
  VkBuffer create_buffer(uint64_t bytes, bool external);

  Gpu& gpu_;
  uint32_t type_[2] = {0, 0};  ///< Vulkan's memory type, by kind
  bool mapped_[2] = {false, true};
  bool one_kind_ = false;  ///< device and staging memory are the same
  std::unique_ptr<devicekit::Pool> pool_;
};

}  // namespace backplane::vulkan
