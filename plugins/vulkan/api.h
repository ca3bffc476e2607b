// SPDX-License-Identifier: Apache-2.0
// The Vulkan functions this plugin calls, as tables filled at run time: nothing links against the loader.
//
// A row is added to one of the lists below; the tables' members and the code that fills them follow from it. Functions
// of extensions are NULL where the driver lacks the extension.
#pragma once

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#include <cstdint>
#include <string>

namespace backplane::vulkan {

#define BP_VK_GLOBAL_FUNCTIONS(X)         \
  X(CreateInstance)                       \
  X(EnumerateInstanceVersion)             \
  X(EnumerateInstanceExtensionProperties) \
  X(EnumerateInstanceLayerProperties)

#define BP_VK_INSTANCE_FUNCTIONS(X)               \
  X(DestroyInstance)                              \
  X(EnumeratePhysicalDevices)                     \
  X(EnumerateDeviceExtensionProperties)           \
  X(GetPhysicalDeviceProperties)                  \
  X(GetPhysicalDeviceProperties2)                 \
  X(GetPhysicalDeviceFeatures2)                   \
  X(GetPhysicalDeviceFormatProperties)            \
  X(GetPhysicalDeviceMemoryProperties)            \
  X(GetPhysicalDeviceMemoryProperties2)           \
  X(GetPhysicalDeviceQueueFamilyProperties)       \
  X(GetPhysicalDeviceCalibrateableTimeDomainsEXT) \
  X(GetPhysicalDeviceCooperativeMatrixPropertiesNV) \
  X(CreateDebugUtilsMessengerEXT)                 \
  X(DestroyDebugUtilsMessengerEXT)                \
  X(CreateDevice)                                 \
  X(GetDeviceProcAddr)

#define BP_VK_DEVICE_FUNCTIONS(X)      \
  X(AllocateCommandBuffers)            \
  X(AllocateDescriptorSets)            \
  X(AllocateMemory)                    \
  X(BeginCommandBuffer)                \
  X(BindBufferMemory)                  \
  X(CmdBindDescriptorSets)             \
  X(CmdBindPipeline)                   \
  X(CmdCopyBuffer)                     \
  X(CmdDispatch)                       \
  X(CmdFillBuffer)                     \
  X(CmdPipelineBarrier)                \
  X(CmdPushConstants)                  \
  X(CmdResetQueryPool)                 \
  X(CmdWriteTimestamp)                 \
  X(CreateBuffer)                      \
  X(CreateBufferView)                  \
  X(CreateCommandPool)                 \
  X(CreateComputePipelines)            \
  X(CreateDescriptorPool)              \
  X(CreateDescriptorSetLayout)         \
  X(CreatePipelineCache)               \
  X(CreatePipelineLayout)              \
  X(CreateQueryPool)                   \
  X(CreateSemaphore)                   \
  X(CreateShaderModule)                \
  X(DestroyBuffer)                     \
  X(DestroyBufferView)                 \
  X(DestroyCommandPool)                \
  X(DestroyDescriptorPool)             \
  X(DestroyDescriptorSetLayout)        \
  X(DestroyDevice)                     \
  X(DestroyPipeline)                   \
  X(DestroyPipelineCache)              \
  X(DestroyPipelineLayout)             \
  X(DestroyQueryPool)                  \
  X(DestroySemaphore)                  \
  X(DestroyShaderModule)               \
  X(EndCommandBuffer)                  \
  X(FreeCommandBuffers)                \
  X(FreeMemory)                        \
  X(GetBufferMemoryRequirements)       \
  X(GetCalibratedTimestampsEXT)        \
  X(GetDeviceQueue)                    \
  X(GetMemoryHostPointerPropertiesEXT) \
  X(GetPipelineCacheData)              \
  X(GetQueryPoolResults)               \
  X(GetSemaphoreCounterValue)          \
  X(MapMemory)                         \
  X(QueueSubmit)                       \
  X(ResetCommandBuffer)                \
  X(ResetDescriptorPool)               \
  X(SignalSemaphore)                   \
  X(UpdateDescriptorSets)              \
  X(WaitSemaphores)

#define BP_VK_MEMBER(name) PFN_vk##name name = nullptr;
struct GlobalApi {
  PFN_vkGetInstanceProcAddr GetInstanceProcAddr = nullptr;
  BP_VK_GLOBAL_FUNCTIONS(BP_VK_MEMBER)
};
struct InstanceApi {
  BP_VK_INSTANCE_FUNCTIONS(BP_VK_MEMBER)
};
struct DeviceApi {
  BP_VK_DEVICE_FUNCTIONS(BP_VK_MEMBER)
};
#undef BP_VK_MEMBER

/// "VK_ERROR_OUT_OF_DEVICE_MEMORY" and so on; the number for codes without a name here.
std::string result_name(VkResult result);

/// Throws sdk::Failure with the ABI's status for `result`, unless it is a success. Device loss is not remembered here:
/// calls on a device go through Gpu::check.
void check_result(VkResult result, const char* what);

}  // namespace backplane::vulkan
