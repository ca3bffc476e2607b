// SPDX-License-Identifier: Apache-2.0
#include "texels.h"

#include <algorithm>

namespace backplane::vulkan {
namespace {

constexpr VkFormat kFloat = VK_FORMAT_R32_SFLOAT, kFloats = VK_FORMAT_R32G32B32A32_SFLOAT, kInt = VK_FORMAT_R32_SINT;

}  // namespace

uint32_t usable_texel_buffers(const Adapter& adapter, const InstanceApi& instance) {
  const VkPhysicalDeviceLimits& limits = adapter.properties.limits;
  if (!adapter.is_cpu() || limits.maxTexelBufferElements < limits.maxStorageBufferRange / 4) return 0;
  for (const VkFormat format : {kFloat, kFloats, kInt}) {
    VkFormatProperties has{};
    instance.GetPhysicalDeviceFormatProperties(adapter.handle, format, &has);
    if ((has.bufferFeatures & VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT) == 0) return 0;
  }
  return std::min(limits.maxPerStageDescriptorStorageImages, kMaxTexelBuffers);
}

VkBufferView create_texel_view(Gpu& gpu, const codegen::TexelBuffer& texels, const VkDescriptorBufferInfo& place) {
  VkBufferViewCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO};
  info.buffer = place.buffer;
  info.format = texels.dtype == BP_I32 ? kInt : texels.lanes == 4 ? kFloats : kFloat;
  info.offset = place.offset;
  info.range = place.range;
  VkBufferView view = VK_NULL_HANDLE;
  gpu.check(gpu.vk.CreateBufferView(gpu.handle, &info, nullptr, &view), "vkCreateBufferView");
  return view;
}

}  // namespace backplane::vulkan
