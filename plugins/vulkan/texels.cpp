// SPDX-License-Identifier: Apache-2.0
#include "texels.h"

#include <algorithm>
#include <iterator>

namespace backplane::vulkan {

uint32_t usable_texel_buffers(const Adapter& adapter, const InstanceApi& instance) {
  const VkPhysicalDeviceLimits& limits = adapter.properties.limits;
  if (!adapter.is_cpu() || limits.maxTexelBufferElements < 2 * TexelViews::kWindow / 4) return 0;
  for (const VkFormat format : TexelViews::kFormats) {
    VkFormatProperties has{};
    instance.GetPhysicalDeviceFormatProperties(adapter.handle, format, &has);
    if ((has.bufferFeatures & VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT) == 0) return 0;
  }
  return std::min(limits.maxPerStageDescriptorStorageImages, kMaxTexelBuffers);
}

void TexelViews::create(VkBuffer buffer, uint64_t bytes) {
  if (gpu_.facts.max_texel_buffers == 0) return;
  for (uint64_t start = 0; start < bytes; start += kWindow) {
    for (const VkFormat format : kFormats) {
      VkBufferViewCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO};
      info.buffer = buffer;
      info.format = format;
      info.offset = start;
      info.range = std::min(2 * kWindow, bytes - start) / 16 * 16;
      views_.push_back(VK_NULL_HANDLE);
      gpu_.check(gpu_.vk.CreateBufferView(gpu_.handle, &info, nullptr, &views_.back()), "vkCreateBufferView");
    }
  }
}

TexelViews::~TexelViews() {
  for (VkBufferView view : views_) gpu_.vk.DestroyBufferView(gpu_.handle, view, nullptr);
}

VkBufferView TexelViews::find(const codegen::TexelBuffer& texels, uint64_t offset) const {
  const size_t format = texels.dtype == BP_I32 ? 2 : texels.lanes == 4 ? 1 : 0;
  return views_[std::min<size_t>(offset / kWindow, views_.size() / std::size(kFormats) - 1) * std::size(kFormats) + format];
}

}  // namespace backplane::vulkan
