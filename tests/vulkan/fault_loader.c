/* SPDX-License-Identifier: Apache-2.0
 *
 * A Vulkan loader with selectable faults: hands everything to the real one, except that a function can be made to
 * return an error from its n-th call on, a device extension can be hidden, and barriers can be dropped. Tests name its
 * file in the setting vulkan.loader and steer it through the three functions at the end.
 */
#define _GNU_SOURCE
#define VK_NO_PROTOTYPES
#include <dlfcn.h>
#include <string.h>
#include <vulkan/vulkan.h>

enum { kSubmit, kAllocate, kWait, kPipeline, kCount };
static const char* const kNames[kCount] = {"vkQueueSubmit", "vkAllocateMemory", "vkWaitSemaphores",
                                           "vkCreateComputePipelines"};
static struct {
  VkResult result;
  int after; /* calls that still succeed; < 0: no fault */
} faults[kCount] = {{0, -1}, {0, -1}, {0, -1}, {0, -1}};
static char hidden[4][64];
static int drop_barriers;

static PFN_vkGetInstanceProcAddr real_instance;
static PFN_vkGetDeviceProcAddr real_device;
static PFN_vkQueueSubmit real_submit;
static PFN_vkAllocateMemory real_allocate;
static PFN_vkWaitSemaphores real_wait;
static PFN_vkCreateComputePipelines real_pipelines;
static PFN_vkCmdPipelineBarrier real_barrier;
static PFN_vkEnumerateDeviceExtensionProperties real_extensions;

static int faulty(int which, VkResult* result) {
  if (faults[which].after < 0) return 0;
  if (faults[which].after > 0) {
    --faults[which].after;
    return 0;
  }
  *result = faults[which].result;
  return 1;
}

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo* infos, VkFence fence) {
  VkResult result;
  return faulty(kSubmit, &result) ? result : real_submit(queue, count, infos, fence);
}
static VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice device, const VkMemoryAllocateInfo* info,
                                               const VkAllocationCallbacks* callbacks, VkDeviceMemory* memory) {
  VkResult result;
  return faulty(kAllocate, &result) ? result : real_allocate(device, info, callbacks, memory);
}
static VKAPI_ATTR VkResult VKAPI_CALL wait_semaphores(VkDevice device, const VkSemaphoreWaitInfo* info, uint64_t ns) {
  VkResult result;
  const VkResult real = real_wait(device, info, ns); /* even then: nobody destroys what a working device still uses */
  return faulty(kWait, &result) ? result : real;
}
static VKAPI_ATTR VkResult VKAPI_CALL pipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                                const VkComputePipelineCreateInfo* infos,
                                                const VkAllocationCallbacks* callbacks, VkPipeline* out) {
  VkResult result;
  return faulty(kPipeline, &result) ? result : real_pipelines(device, cache, count, infos, callbacks, out);
}
static VKAPI_ATTR void VKAPI_CALL barrier(VkCommandBuffer commands, VkPipelineStageFlags from, VkPipelineStageFlags to,
                                          VkDependencyFlags flags, uint32_t memories, const VkMemoryBarrier* memory,
                                          uint32_t buffers, const VkBufferMemoryBarrier* buffer, uint32_t images,
                                          const VkImageMemoryBarrier* image) {
  if (!drop_barriers) {
    real_barrier(commands, from, to, flags, memories, memory, buffers, buffer, images, image);
  }
}
static VKAPI_ATTR VkResult VKAPI_CALL extensions(VkPhysicalDevice device, const char* layer, uint32_t* count,
                                                 VkExtensionProperties* out) {
  const VkResult result = real_extensions(device, layer, count, out);
  for (uint32_t i = 0; out != NULL && result == VK_SUCCESS && i < *count; ++i) {
    for (int h = 0; h < 4; ++h) {
      if (strcmp(out[i].extensionName, hidden[h]) == 0) strcpy(out[i].extensionName, "VK_BP_hidden");
    }
  }
  return result;
}

static PFN_vkVoidFunction device_address(VkDevice device, const char* name) {
  PFN_vkVoidFunction real = real_device(device, name);
  if (real == NULL) return NULL;
#define WRAP(text, slot, wrapper)       \
  if (strcmp(name, text) == 0) {        \
    slot = (__typeof__(slot))real;      \
    return (PFN_vkVoidFunction)wrapper; \
  }
  WRAP(kNames[kSubmit], real_submit, submit)
  WRAP(kNames[kAllocate], real_allocate, allocate)
  WRAP(kNames[kWait], real_wait, wait_semaphores)
  WRAP(kNames[kPipeline], real_pipelines, pipelines)
  WRAP("vkCmdPipelineBarrier", real_barrier, barrier)
#undef WRAP
  return real;
}

__attribute__((visibility("default"))) PFN_vkVoidFunction vkGetInstanceProcAddr(VkInstance instance, const char* name) {
  if (real_instance == NULL) {
    void* loader = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    if (loader == NULL) return NULL;
    real_instance = (PFN_vkGetInstanceProcAddr)dlsym(loader, "vkGetInstanceProcAddr");
  }
  PFN_vkVoidFunction real = real_instance(instance, name);
  if (real != NULL && strcmp(name, "vkGetDeviceProcAddr") == 0) {
    real_device = (PFN_vkGetDeviceProcAddr)real;
    return (PFN_vkVoidFunction)device_address;
  }
  if (real != NULL && strcmp(name, "vkEnumerateDeviceExtensionProperties") == 0) {
    real_extensions = (PFN_vkEnumerateDeviceExtensionProperties)real;
    return (PFN_vkVoidFunction)extensions;
  }
  return real;
}

/* `after` calls of `function` succeed, then each returns `result`; after < 0 ends the fault. */
__attribute__((visibility("default"))) void set_fault(const char* function, int result, int after) {
  for (int i = 0; i < kCount; ++i) {
    if (strcmp(kNames[i], function) == 0) {
      faults[i].result = (VkResult)result;
      faults[i].after = after;
    }
  }
}
__attribute__((visibility("default"))) void hide_extension(int slot, const char* name) {
  strncpy(hidden[slot], name, sizeof(hidden[slot]) - 1);
}
__attribute__((visibility("default"))) void set_drop_barriers(int drop) { drop_barriers = drop; }
