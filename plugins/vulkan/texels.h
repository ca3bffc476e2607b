// SPDX-License-Identifier: Apache-2.0
// Texel buffers over blocks of memory, for devices that read them faster than storage buffers (see docs/vulkan.md).
//
// A view covers at most as many texels as the device allows, so a block has views of two windows' length that begin at every
// window: an operand, which is never longer than a window, lies inside the view of the window that it begins in.
#pragma once

#include <vector>

#include "backplane/codegen/recipe.h"
#include "gpu.h"

namespace backplane::vulkan {

/// How many texel buffers a kernel of this device may have; 0 where they gain nothing or a format is missing.
uint32_t usable_texel_buffers(const Adapter& adapter, const InstanceApi& instance);

class TexelViews {
 public:
  explicit TexelViews(Gpu& gpu) : gpu_(gpu) {}
  ~TexelViews();
  TexelViews(const TexelViews&) = delete;
  TexelViews& operator=(const TexelViews&) = delete;

  /// Over a whole buffer with memory; nothing where the device does not use them.
  void create(VkBuffer buffer, uint64_t bytes);
  VkBufferView find(const codegen::TexelBuffer& texels, uint64_t offset) const;
  /// Where the views for an operand at this offset begin.
  static uint64_t window_start(uint64_t offset) { return offset / kWindow * kWindow; }

 private:
  static constexpr uint64_t kWindow = uint64_t{128} << 20;
  friend uint32_t usable_texel_buffers(const Adapter&, const InstanceApi&);
  static constexpr VkFormat kFormats[] = {VK_FORMAT_R32_SFLOAT, VK_FORMAT_R32G32B32A32_SFLOAT, VK_FORMAT_R32_SINT};

  Gpu& gpu_;
  std::vector<VkBufferView> views_;  // [window][format]
};

}  // namespace backplane::vulkan
