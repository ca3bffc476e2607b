// SPDX-License-Identifier: Apache-2.0
#include "pipelines.h"

#include <algorithm>

#include "backplane/devicekit/blob.h"
#include "precompiled.h"

namespace backplane::vulkan {
namespace {

/// What compiled code depends on beside its source.
Digest device_digest(const Adapter& adapter) {
  const VkPhysicalDeviceProperties& p = adapter.properties;
  std::string text(p.deviceName);
  text.append(adapter.properties12.driverName).append(adapter.properties12.driverInfo);
  text.append(reinterpret_cast<const char*>(p.pipelineCacheUUID), VK_UUID_SIZE);
  for (const uint32_t number : {p.vendorID, p.deviceID, p.driverVersion, p.apiVersion})
    text += std::to_string(number) + "/";
  return digest(text);
}

/// Whether a module declares SPIR-V's capability GroupNonUniform, which all subgroup operations need.
bool uses_subgroups(std::span<const uint32_t> spirv) {
  constexpr uint32_t kHeaderWords = 5, kOpCapability = 17, kGroupNonUniform = 61;
  for (size_t at = kHeaderWords; at + 1 < spirv.size() && (spirv[at] & 0xffffu) == kOpCapability;
       at += spirv[at] >> 16) {
    if (spirv[at + 1] == kGroupNonUniform) return true;
  }
  return false;
}

std::span<const uint32_t> find_precompiled(const Digest& text) {
  const auto table = precompiled();
  const auto at = std::lower_bound(table.begin(), table.end(), text, [](const Precompiled& row, const Digest& wanted) {
    return std::pair(row.text.words[0], row.text.words[1]) < std::pair(wanted.words[0], wanted.words[1]);
  });
  return at != table.end() && at->text == text ? at->spirv : std::span<const uint32_t>();
}

}  // namespace

Pipelines::Pipelines(Gpu& gpu, const Compiler& compiler)
    : gpu_(gpu), compiler_(compiler), device_(device_digest(gpu.adapter)) {
  cache_key_ = "vulkan-pipelines-" + device_.hex();
  const auto blob = devicekit::load_blob(gpu.host, cache_key_, device_);
  VkPipelineCacheCreateInfo info{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  if (blob) {
    info.initialDataSize = blob->size();
    info.pInitialData = blob->data();
    saved_ = digest(blob->data(), blob->size());
  }
  gpu.check(gpu.vk.CreatePipelineCache(gpu.handle, &info, nullptr, &cache_), "vkCreatePipelineCache");
}

Pipelines::~Pipelines() {
  if (!gpu_.lost()) save();
  entries_.clear();
  gpu_.vk.DestroyPipelineCache(gpu_.handle, cache_, nullptr);
  for (auto& [key, layout] : layouts_) {
    gpu_.vk.DestroyPipelineLayout(gpu_.handle, layout.pipeline, nullptr);
    gpu_.vk.DestroyDescriptorSetLayout(gpu_.handle, layout.set, nullptr);
  }
}

void Pipelines::save() {
  size_t bytes = 0;
  if (gpu_.vk.GetPipelineCacheData(gpu_.handle, cache_, &bytes, nullptr) != VK_SUCCESS || bytes == 0) return;
  std::vector<char> data(bytes);
  if (gpu_.vk.GetPipelineCacheData(gpu_.handle, cache_, &bytes, data.data()) != VK_SUCCESS) return;
  if (digest(data.data(), bytes) != saved_) devicekit::store_blob(gpu_.host, cache_key_, device_, data.data(), bytes);
}

Bindings bindings_of(const codegen::Launch& launch) {
  const auto slots = static_cast<uint32_t>(launch.slots.size());
  const auto as_texels = [&](uint32_t slot) {
    return std::any_of(launch.texels.begin(), launch.texels.end(), [&](const auto& t) { return t.slot == slot; });
  };
  Bindings all;
  for (uint32_t slot = 0; slot < slots; ++slot) {
    if (!as_texels(slot)) all.push_back({slot, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, slot, {}});
  }
  if (launch.words_in_buffer) all.push_back({slots, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, slots, {}});
  uint32_t number = slots + 1;
  for (const codegen::TexelBuffer& t : launch.texels) {
    all.push_back({number++, VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, t.slot, t});
  }
  return all;
}

const Layout& Pipelines::layout(const Bindings& wanted) {
  std::vector<VkDescriptorSetLayoutBinding> bindings;
  std::vector<uint32_t> key;
  for (const Binding& b : wanted) {
    bindings.push_back({b.number, b.type, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr});
    key.insert(key.end(), {b.number, static_cast<uint32_t>(b.type)});
  }
  std::lock_guard lock(mutex_);
  Layout& layout = layouts_[key];
  if (layout.pipeline != VK_NULL_HANDLE) return layout;
  VkDescriptorSetLayoutCreateInfo set{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  set.bindingCount = static_cast<uint32_t>(bindings.size());
  set.pBindings = bindings.data();
  if (layout.set == VK_NULL_HANDLE) {
    gpu_.check(gpu_.vk.CreateDescriptorSetLayout(gpu_.handle, &set, nullptr, &layout.set),
               "vkCreateDescriptorSetLayout");
  }
  const VkPushConstantRange words{VK_SHADER_STAGE_COMPUTE_BIT, 0, gpu_.facts.max_words * 4};
  VkPipelineLayoutCreateInfo info{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  info.setLayoutCount = 1;
  info.pSetLayouts = &layout.set;
  info.pushConstantRangeCount = 1;
  info.pPushConstantRanges = &words;
  gpu_.check(gpu_.vk.CreatePipelineLayout(gpu_.handle, &info, nullptr, &layout.pipeline), "vkCreatePipelineLayout");
  return layout;
}

PipelinePtr Pipelines::find(const std::string& source, const std::string& name, const Bindings& bindings, bool soon,
                            bool* built) {
  const Digest key = digest(source);
  const std::shared_ptr<Entry> slot = entries_.get(key);
  std::lock_guard lock(slot->building);
  if (slot->pipeline == nullptr) {
    slot->pipeline = build(source, key, name, bindings);
    if (soon && warm_ != nullptr) warm_(*slot->pipeline);
    *built = true;
  }
  return slot->pipeline;
}

PipelinePtr Pipelines::build(const std::string& source, const Digest& key, const std::string& name, const Bindings& bindings) {
  std::span<const uint32_t> spirv = find_precompiled(key);
  std::vector<uint32_t> compiled;
  if (spirv.empty()) spirv = compiled = compiler_.spirv(source, key, name);
  auto pipeline = std::make_shared<Pipeline>(gpu_);
  pipeline->layout = &layout(bindings);
  pipeline->bindings = bindings;
  VkShaderModuleCreateInfo module{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  module.codeSize = spirv.size() * 4;
  module.pCode = spirv.data();
  VkShaderModule shader = VK_NULL_HANDLE;
  gpu_.check(gpu_.vk.CreateShaderModule(gpu_.handle, &module, nullptr, &shader), "vkCreateShaderModule");
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfoEXT subgroup{
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO_EXT};
  subgroup.requiredSubgroupSize = gpu_.facts.subgroup_size;
  VkComputePipelineCreateInfo info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.layout = pipeline->layout->pipeline;
  info.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO};
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = shader;
  info.stage.pName = "main";
  // A kernel written for one subgroup size gets it; elsewhere the driver is free to choose.
  if (gpu_.subgroup_control && uses_subgroups(spirv)) info.stage.pNext = &subgroup;
  const VkResult result = gpu_.vk.CreateComputePipelines(gpu_.handle, cache_, 1, &info, nullptr, &pipeline->handle);
  gpu_.vk.DestroyShaderModule(gpu_.handle, shader, nullptr);
  gpu_.check(result, "vkCreateComputePipelines");
  return pipeline;
}

}  // namespace backplane::vulkan
