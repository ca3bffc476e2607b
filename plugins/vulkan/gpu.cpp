// SPDX-License-Identifier: Apache-2.0
#include "gpu.h"

#include <algorithm>

#include "texels.h"

namespace backplane::vulkan {

/// The feature structs that matter here, chained. Asked for what is there, then handed to vkCreateDevice cut down to
/// what kernels use.
struct Gpu::Features {
  VkPhysicalDeviceFeatures2 base{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDeviceVulkan11Features v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceShaderAtomicFloatFeaturesEXT atomic{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_FLOAT_FEATURES_EXT};
  VkPhysicalDeviceSubgroupSizeControlFeaturesEXT subgroup{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT};

  VkPhysicalDeviceCooperativeMatrixFeaturesNV cooperative{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV};

  /// Structs of extensions are chained only where the extension is there.
  void chain(const Adapter& adapter) {
    base.pNext = &v11;
    v11.pNext = &v12;
    void** tail = &v12.pNext;
    const auto add = [&](auto& extension) {
      *tail = &extension;
      extension.pNext = nullptr;
      tail = &extension.pNext;
    };
    *tail = nullptr;
    if (adapter.has(VK_EXT_SHADER_ATOMIC_FLOAT_EXTENSION_NAME)) add(atomic);
    if (adapter.has(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) add(subgroup);
    if (adapter.has(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME)) add(cooperative);
  }

  /// Everything that is there and that kernels use; nothing else.
  Features wanted() const {
    Features w;
    w.base.features.shaderInt16 = base.features.shaderInt16;
    w.base.features.shaderInt64 = base.features.shaderInt64;
    w.base.features.shaderFloat64 = base.features.shaderFloat64;
    w.v11.storageBuffer16BitAccess = v11.storageBuffer16BitAccess;
    w.v12.storageBuffer8BitAccess = v12.storageBuffer8BitAccess;
    w.v12.shaderInt8 = v12.shaderInt8;
    w.v12.shaderFloat16 = v12.shaderFloat16;
    w.v12.timelineSemaphore = VK_TRUE;  // every 1.2 device has it
    w.atomic.shaderBufferFloat32AtomicAdd = atomic.shaderBufferFloat32AtomicAdd;
    w.atomic.shaderBufferFloat32Atomics = atomic.shaderBufferFloat32Atomics;
    w.subgroup.subgroupSizeControl = subgroup.subgroupSizeControl;
    w.cooperative.cooperativeMatrix = cooperative.cooperativeMatrix;
    return w;
  }
};

Gpu::Gpu(const Driver& driver, uint32_t index)
    : adapter(driver.adapters().at(index)), instance(driver.api()), host(driver.host()), index_(index) {
  Features there;
  there.chain(adapter);
  instance.GetPhysicalDeviceFeatures2(adapter.handle, &there.base);
  Features wanted = there.wanted();
  wanted.chain(adapter);
  const VkPhysicalDeviceLimits& limits = adapter.properties.limits;
  binding_alignment_ =
      std::max<uint64_t>({16, limits.minStorageBufferOffsetAlignment, limits.minTexelBufferOffsetAlignment});
  create(wanted);
  fill_facts(wanted);
}

void Gpu::create(const Features& wanted) {
  host_import = adapter.has(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  memory_budget = adapter.has(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  if (adapter.has(VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME)) {
    VkTimeDomainEXT domains[8];
    uint32_t count = 8;
    instance.GetPhysicalDeviceCalibrateableTimeDomainsEXT(adapter.handle, &count, domains);
    calibrated = std::find(domains, domains + count, VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT) != domains + count &&
                 adapter.timestamp_bits != 0;
  }
  const auto& size_control = adapter.has(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  subgroup_control = size_control && wanted.subgroup.subgroupSizeControl != VK_FALSE;

  const struct {
    const char* name;
    bool use;
  } candidates[] = {
      {VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME, host_import},
      {VK_EXT_MEMORY_BUDGET_EXTENSION_NAME, memory_budget},
      {VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME, calibrated},
      {VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, size_control},
      {VK_EXT_SHADER_ATOMIC_FLOAT_EXTENSION_NAME, adapter.has(VK_EXT_SHADER_ATOMIC_FLOAT_EXTENSION_NAME)},
      {VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME, adapter.has(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME)},
  };
  std::vector<const char*> extensions;
  for (const auto& candidate : candidates) {
    if (candidate.use) extensions.push_back(candidate.name);
  }
  const uint32_t count = std::min<uint32_t>(adapter.queue_count, 8);
  const std::vector<float> priorities(count, 1.0f);
  VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue.queueFamilyIndex = adapter.queue_family;
  queue.queueCount = count;
  queue.pQueuePriorities = priorities.data();
  VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  info.pNext = &wanted.base;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  check_result(instance.CreateDevice(adapter.handle, &info, nullptr, &handle), "vkCreateDevice");
#define BP_VK_LOAD(name) vk.name = reinterpret_cast<PFN_vk##name>(instance.GetDeviceProcAddr(handle, "vk" #name));
  BP_VK_DEVICE_FUNCTIONS(BP_VK_LOAD)
#undef BP_VK_LOAD
  for (uint32_t i = 0; i < count; ++i) {
    queues_.push_back(std::make_unique<SharedQueue>());
    vk.GetDeviceQueue(handle, adapter.queue_family, i, &queues_.back()->handle);
  }
}

void Gpu::fill_facts(const Features& has) {
  const VkPhysicalDeviceLimits& limits = adapter.properties.limits;
  facts.dialect = codegen::Dialect::glsl;
  facts.cpu_like = adapter.is_cpu();
  if (facts.cpu_like) facts.max_loop_steps = 65535;  // LP_MAX_TGSI_LOOP_ITERATIONS of Mesa's gallivm
  facts.compute_units = adapter.compute_units != 0 ? adapter.compute_units : 32;
  facts.f16_storage = has.v11.storageBuffer16BitAccess != 0 && has.v12.shaderFloat16 != 0;
  facts.bf16_storage = has.v11.storageBuffer16BitAccess != 0 && has.base.features.shaderInt16 != 0;
  facts.bool_storage = has.v12.storageBuffer8BitAccess != 0 && has.v12.shaderInt8 != 0;
  facts.f64 = has.base.features.shaderFloat64 != 0;
  facts.i64 = has.base.features.shaderInt64 != 0;
  facts.atomic_add_f32 = has.atomic.shaderBufferFloat32AtomicAdd != 0;

  facts.max_group_size = limits.maxComputeWorkGroupInvocations;
  for (int d = 0; d < 3; ++d) {
    facts.max_group_extent[d] = limits.maxComputeWorkGroupSize[d];
    facts.max_grid_extent[d] = limits.maxComputeWorkGroupCount[d];
  }
  facts.local_bytes = limits.maxComputeSharedMemorySize;
  const VkPhysicalDeviceVulkan11Properties& subgroup = adapter.properties11;
  if ((subgroup.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
      (subgroup.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_BASIC_BIT) != 0) {
    facts.subgroup_size = subgroup.subgroupSize;
    facts.subgroup_arithmetic = (subgroup.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) != 0;
    facts.subgroup_shuffle = (subgroup.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT) != 0;
  }
  if (has.cooperative.cooperativeMatrix != 0 && facts.f16_storage && subgroup_control)
    facts.cooperative = cooperative_matrices();
  facts.vector_width = facts.cpu_like ? std::max(1u, subgroup.subgroupSize) : 4;
  facts.max_texel_buffers = usable_texel_buffers(adapter, instance);
  facts.max_words = std::min(limits.maxPushConstantsSize / 4, kMaxWords);
  // Each buffer's offset is a word; one more binding is for words that do not fit beside the offsets.
  facts.max_buffers = std::min({limits.maxPerStageDescriptorStorageBuffers, kMaxBuffers - 1, facts.max_words});
  facts.max_binding_bytes = limits.maxStorageBufferRange - binding_alignment_;
}

/// The shapes that a subgroup multiplies f16 matrices in with f32 sums. Of VK_NV_cooperative_matrix only (docs/vulkan.md).
std::vector<codegen::CooperativeMatrix> Gpu::cooperative_matrices() const {
  uint32_t count = 0;
  check_result(instance.GetPhysicalDeviceCooperativeMatrixPropertiesNV(adapter.handle, &count, nullptr),
               "vkGetPhysicalDeviceCooperativeMatrixPropertiesNV");
  std::vector<VkCooperativeMatrixPropertiesNV> all(count, {VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_NV});
  check_result(instance.GetPhysicalDeviceCooperativeMatrixPropertiesNV(adapter.handle, &count, all.data()),
               "vkGetPhysicalDeviceCooperativeMatrixPropertiesNV");
  std::vector<codegen::CooperativeMatrix> usable;
  for (const VkCooperativeMatrixPropertiesNV& p : all) {
    const bool narrow = p.AType == VK_COMPONENT_TYPE_FLOAT16_NV && p.BType == VK_COMPONENT_TYPE_FLOAT16_NV;
    const bool wide = p.CType == VK_COMPONENT_TYPE_FLOAT32_NV && p.DType == VK_COMPONENT_TYPE_FLOAT32_NV;
    if (!narrow || !wide || p.scope != VK_SCOPE_SUBGROUP_NV) continue;
    const codegen::CooperativeMatrix shape{p.MSize, p.NSize, p.KSize, BP_F16};
    // The largest first.
    const auto place = std::find_if(usable.begin(), usable.end(), [&](const codegen::CooperativeMatrix& other) {
      return other.m * other.n * other.k < shape.m * shape.n * shape.k;
    });
    usable.insert(place, shape);
  }
  return usable;
}

Gpu::~Gpu() { vk.DestroyDevice(handle, nullptr); }

SharedQueue& Gpu::next_queue() { return *queues_[next_.fetch_add(1, std::memory_order_relaxed) % queues_.size()]; }

void Gpu::check(VkResult result, const char* what) {
  if (result >= 0) [[likely]]
    return;
  if (result == VK_ERROR_DEVICE_LOST && !lost_.exchange(true)) {
    bp_error error{};
    error.size = sizeof(error);
    sdk::fill_error(&error, BP_E_DEVICE_LOST, std::string("[vulkan] the device was lost in ") + what, BP_SCOPE_DEVICE,
                    0, "vulkan", result);
    host.device_event(index_, error);
  }
  check_result(result, what);
}

void Gpu::require_alive() const {
  if (lost()) [[unlikely]]
    check_result(VK_ERROR_DEVICE_LOST, "an earlier call lost the device");
}

}  // namespace backplane::vulkan
