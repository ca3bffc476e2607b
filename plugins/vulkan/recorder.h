// SPDX-License-Identifier: Apache-2.0
// Writes launches and copies into a command buffer, with a barrier exactly where one needs what another left.
//
// Ranges bound to be read and written since the last barrier are remembered; a command whose ranges conflict with one of
// them gets a barrier first, so independent commands may overlap. A command buffer begins and ends with a barrier: what ran
// before it on the same VkQueue is visible inside, and its results are visible to what follows and to the host.
#pragma once

#include <vector>

#include "kernel.h"

namespace backplane::vulkan {

/// A command buffer with the descriptor sets and texel buffers it uses.
struct Commands {
  VkCommandBuffer handle = nullptr;
  std::vector<VkDescriptorPool> pools;
  size_t pool = 0;                  ///< the one in use
  std::vector<VkBufferView> views;  ///< of its latest recording
  uint64_t value = 0;               ///< of the timeline, when it is done

  void destroy_views(Gpu& gpu);
  /// All but the command buffer, which goes with its pool.
  void destroy_bindings(Gpu& gpu);
};

class Recorder {
 public:
  explicit Recorder(Gpu& gpu) : gpu_(gpu) {}

  void begin(Commands& commands, bool many_times);
  void end();
  bool is_open() const { return commands_ != nullptr; }
  /// Commands since begin.
  uint32_t count() const { return count_; }

  void launch(const PreparedLaunch& launch, const bp_view* inputs, const bp_view* outputs, const bp_view& workspace);
  void copy(const Allocation& to, uint64_t to_offset, const Allocation& from, uint64_t from_offset, uint64_t bytes);
  /// A launch of no work-groups, with `dummy` for every buffer.
  void launch_nothing(const Pipeline& pipeline, const Allocation& dummy);
  /// Offset and bytes are multiples of 4.
  void fill(const Allocation& to, uint64_t offset, uint64_t bytes, uint32_t pattern);
  /// The time at which all commands before are done.
  void stamp(VkQueryPool pool, uint32_t index);

 private:
  struct Range {
    VkBuffer buffer;
    uint64_t begin, end;
    bool written;
  };
  /// Adds ranges that one command touches, after a barrier if any conflicts with an earlier command's.
  void touch(const Range* ranges, size_t count);
  void barrier();
  /// `places` of the slots, then of the words if a buffer has them.
  void bind(const Pipeline& pipeline, const VkDescriptorBufferInfo* places);
  VkDescriptorSet allocate_set(const Layout& layout);

  Gpu& gpu_;
  Commands* commands_ = nullptr;
  uint32_t count_ = 0;
  const Pipeline* bound_ = nullptr;
  std::vector<Range> touched_;
};

/// What a bp_buffer is.
struct Buffer {
  Buffer(Memory& memory, const Allocation& allocation) : memory(memory), allocation(allocation) {}
  ~Buffer() { memory.give(allocation); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void* host_pointer() const { return allocation.mapped(); }
  Memory& memory;
  const Allocation allocation;
};
inline const Buffer* buffer_of(const bp_view& view) { return reinterpret_cast<const Buffer*>(view.buffer); }

}  // namespace backplane::vulkan
