// SPDX-License-Identifier: Apache-2.0
// Texel buffers over operands, for devices that read them faster than storage buffers (see docs/vulkan.md).
//
// A view covers what its operand touches and no more: what it covers counts as read, and nothing else may write there at
// the same time.
#pragma once

#include "backplane/codegen/recipe.h"
#include "gpu.h"

namespace backplane::vulkan {

/// How many texel buffers a kernel of this device may have; 0 where they gain nothing or a format is missing.
uint32_t usable_texel_buffers(const Adapter& adapter, const InstanceApi& instance);

/// The place begins at a multiple of Gpu::binding_alignment and is whole texels long.
VkBufferView create_texel_view(Gpu& gpu, const codegen::TexelBuffer& texels, const VkDescriptorBufferInfo& place);

}  // namespace backplane::vulkan
