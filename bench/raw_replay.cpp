// SPDX-License-Identifier: Apache-2.0
#include "raw_replay.h"

#if defined(BACKPLANE_BENCH_VULKAN)
#define VK_NO_PROTOTYPES
#include <dlfcn.h>
#include <vulkan/vulkan.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace backplane::bench {

namespace {

// glslc --target-env=vulkan1.2 -O of
//   layout(local_size_x = 16) in;
//   layout(std430, binding = 0) readonly buffer A { float a[]; };
//   layout(std430, binding = 1) readonly buffer B { float b[]; };
//   layout(std430, binding = 2) buffer Y { float y[]; };
//   void main() { uint i = gl_GlobalInvocationID.x; y[i] = a[i] + b[i]; }
constexpr uint32_t kAdd[] = {
    0x7230203, 0x10500, 0xd000b, 0x2c, 0x0, 0x20011, 0x1, 0x6000b, 0x1, 0x4c534c47,
    0x6474732e, 0x3035342e, 0x0, 0x3000e, 0x0, 0x1, 0x9000f, 0x5, 0x4, 0x6e69616d,
    0x0, 0xb, 0x14, 0x1b, 0x23, 0x60010, 0x4, 0x11, 0x10, 0x1,
    0x1, 0x40047, 0xb, 0xb, 0x1c, 0x40047, 0x11, 0x6, 0x4, 0x50048,
    0x12, 0x0, 0x23, 0x0, 0x30047, 0x12, 0x2, 0x40047, 0x14, 0x22,
    0x0, 0x40047, 0x14, 0x21, 0x2, 0x40047, 0x18, 0x6, 0x4, 0x40048,
    0x19, 0x0, 0x18, 0x50048, 0x19, 0x0, 0x23, 0x0, 0x30047, 0x19,
    0x2, 0x40047, 0x1b, 0x22, 0x0, 0x40047, 0x1b, 0x21, 0x0, 0x40047,
    0x20, 0x6, 0x4, 0x40048, 0x21, 0x0, 0x18, 0x50048, 0x21, 0x0,
    0x23, 0x0, 0x30047, 0x21, 0x2, 0x40047, 0x23, 0x22, 0x0, 0x40047,
    0x23, 0x21, 0x1, 0x40047, 0x2b, 0xb, 0x19, 0x20013, 0x2, 0x30021,
    0x3, 0x2, 0x40015, 0x6, 0x20, 0x0, 0x40017, 0x9, 0x6, 0x3,
    0x40020, 0xa, 0x1, 0x9, 0x4003b, 0xa, 0xb, 0x1, 0x4002b, 0x6,
    0xc, 0x0, 0x40020, 0xd, 0x1, 0x6, 0x30016, 0x10, 0x20, 0x3001d,
    0x11, 0x10, 0x3001e, 0x12, 0x11, 0x40020, 0x13, 0xc, 0x12, 0x4003b,
    0x13, 0x14, 0xc, 0x40015, 0x15, 0x20, 0x1, 0x4002b, 0x15, 0x16,
    0x0, 0x3001d, 0x18, 0x10, 0x3001e, 0x19, 0x18, 0x40020, 0x1a, 0xc,
    0x19, 0x4003b, 0x1a, 0x1b, 0xc, 0x40020, 0x1d, 0xc, 0x10, 0x3001d,
    0x20, 0x10, 0x3001e, 0x21, 0x20, 0x40020, 0x22, 0xc, 0x21, 0x4003b,
    0x22, 0x23, 0xc, 0x4002b, 0x6, 0x29, 0x10, 0x4002b, 0x6, 0x2a,
    0x1, 0x6002c, 0x9, 0x2b, 0x29, 0x2a, 0x2a, 0x50036, 0x2, 0x4,
    0x0, 0x3, 0x200f8, 0x5, 0x50041, 0xd, 0xe, 0xb, 0xc, 0x4003d,
    0x6, 0xf, 0xe, 0x60041, 0x1d, 0x1e, 0x1b, 0x16, 0xf, 0x4003d,
    0x10, 0x1f, 0x1e, 0x60041, 0x1d, 0x25, 0x23, 0x16, 0xf, 0x4003d,
    0x10, 0x26, 0x25, 0x50081, 0x10, 0x27, 0x1f, 0x26, 0x60041, 0x1d,
    0x28, 0x14, 0x16, 0xf, 0x3003e, 0x28, 0x27, 0x100fd, 0x10038,
};

#define BACKPLANE_RAW_CALLS(X)                                                                                       \
  X(EnumeratePhysicalDevices) X(GetPhysicalDeviceProperties) X(GetPhysicalDeviceMemoryProperties) X(CreateDevice)    \
  X(GetDeviceQueue) X(CreateBuffer) X(AllocateMemory) X(BindBufferMemory) X(CreateDescriptorSetLayout)               \
  X(CreatePipelineLayout) X(CreateShaderModule) X(CreateComputePipelines) X(CreateDescriptorPool)                    \
  X(AllocateDescriptorSets) X(UpdateDescriptorSets) X(CreateCommandPool) X(AllocateCommandBuffers)                   \
  X(BeginCommandBuffer) X(EndCommandBuffer) X(CmdBindPipeline) X(CmdBindDescriptorSets) X(CmdDispatch)               \
  X(CmdPipelineBarrier) X(CreateFence) X(QueueSubmit) X(WaitForFences) X(ResetFences)

void check(VkResult result, const char* what) {
  if (result != VK_SUCCESS) throw std::runtime_error(std::string("raw Vulkan: ") + what + " returned " + std::to_string(result));
}

/// Objects live as long as the process: a bench makes one of each.
struct Raw {
  VkInstance instance = VK_NULL_HANDLE;
  VkPhysicalDevice adapter = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;
  VkFence fence = VK_NULL_HANDLE;
  VkCommandBuffer commands = VK_NULL_HANDLE;
#define X(name) PFN_vk##name name = nullptr;
  BACKPLANE_RAW_CALLS(X)
#undef X

  /// The device of that name, or the first.
  void open(const std::string& wanted) {
    void* library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error("raw Vulkan: no libvulkan.so.1");
    const auto get = reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library, "vkGetInstanceProcAddr"));
    const auto create = reinterpret_cast<PFN_vkCreateInstance>(get(nullptr, "vkCreateInstance"));
    VkApplicationInfo app{VK_STRUCTURE_TYPE_APPLICATION_INFO};
    app.apiVersion = VK_API_VERSION_1_2;
    VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
    info.pApplicationInfo = &app;
    check(create(&info, nullptr, &instance), "vkCreateInstance");
#define X(name) name = reinterpret_cast<PFN_vk##name>(get(instance, "vk" #name));
    BACKPLANE_RAW_CALLS(X)
#undef X
    uint32_t count = 0;
    check(EnumeratePhysicalDevices(instance, &count, nullptr), "vkEnumeratePhysicalDevices");
    std::vector<VkPhysicalDevice> all(count);
    check(EnumeratePhysicalDevices(instance, &count, all.data()), "vkEnumeratePhysicalDevices");
    if (all.empty()) throw std::runtime_error("raw Vulkan: no device");
    adapter = all[0];
    for (const VkPhysicalDevice each : all) {
      VkPhysicalDeviceProperties properties;
      GetPhysicalDeviceProperties(each, &properties);
      if (wanted.starts_with(properties.deviceName)) adapter = each;
    }
    const float priority = 1;
    VkDeviceQueueCreateInfo queues{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
    queues.queueCount = 1;  // of family 0, which computes on every driver known
    queues.pQueuePriorities = &priority;
    VkDeviceCreateInfo create_info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
    create_info.queueCreateInfoCount = 1;
    create_info.pQueueCreateInfos = &queues;
    check(CreateDevice(adapter, &create_info, nullptr, &device), "vkCreateDevice");
    GetDeviceQueue(device, 0, 0, &queue);
    const VkFenceCreateInfo fence_info{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    check(CreateFence(device, &fence_info, nullptr, &fence), "vkCreateFence");
  }

  VkBuffer buffer() const {
    VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
    info.size = 4096;
    info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
    VkBuffer made = VK_NULL_HANDLE;
    check(CreateBuffer(device, &info, nullptr, &made), "vkCreateBuffer");
    VkMemoryAllocateInfo memory{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    memory.allocationSize = 65536;
    VkDeviceMemory place = VK_NULL_HANDLE;
    check(AllocateMemory(device, &memory, nullptr, &place), "vkAllocateMemory");
    check(BindBufferMemory(device, made, place, 0), "vkBindBufferMemory");
    return made;
  }

  /// x1 = x0 + y, x0 = x1 + y, ..., a barrier after each.
  void record(int dispatches) {
    VkDescriptorSetLayoutBinding bindings[3];
    for (uint32_t i = 0; i < 3; ++i) bindings[i] = {i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
    VkDescriptorSetLayoutCreateInfo set_info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
    set_info.bindingCount = 3, set_info.pBindings = bindings;
    VkDescriptorSetLayout set_layout = VK_NULL_HANDLE;
    check(CreateDescriptorSetLayout(device, &set_info, nullptr, &set_layout), "vkCreateDescriptorSetLayout");
    VkPipelineLayoutCreateInfo layout_info{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
    layout_info.setLayoutCount = 1, layout_info.pSetLayouts = &set_layout;
    VkPipelineLayout layout = VK_NULL_HANDLE;
    check(CreatePipelineLayout(device, &layout_info, nullptr, &layout), "vkCreatePipelineLayout");
    VkShaderModuleCreateInfo module_info{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
    module_info.codeSize = sizeof(kAdd), module_info.pCode = kAdd;
    VkComputePipelineCreateInfo pipeline_info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
    pipeline_info.layout = layout;
    pipeline_info.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO};
    pipeline_info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    pipeline_info.stage.pName = "main";
    check(CreateShaderModule(device, &module_info, nullptr, &pipeline_info.stage.module), "vkCreateShaderModule");
    VkPipeline pipeline = VK_NULL_HANDLE;
    check(CreateComputePipelines(device, VK_NULL_HANDLE, 1, &pipeline_info, nullptr, &pipeline), "vkCreateComputePipelines");

    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 6};
    VkDescriptorPoolCreateInfo pool_info{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
    pool_info.maxSets = 2, pool_info.poolSizeCount = 1, pool_info.pPoolSizes = &size;
    VkDescriptorPool pool = VK_NULL_HANDLE;
    check(CreateDescriptorPool(device, &pool_info, nullptr, &pool), "vkCreateDescriptorPool");
    const VkBuffer x[] = {buffer(), buffer()}, y = buffer();
    const VkDescriptorSetLayout layouts[] = {set_layout, set_layout};
    VkDescriptorSetAllocateInfo sets_info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
    sets_info.descriptorPool = pool, sets_info.descriptorSetCount = 2, sets_info.pSetLayouts = layouts;
    VkDescriptorSet sets[2];
    check(AllocateDescriptorSets(device, &sets_info, sets), "vkAllocateDescriptorSets");
    for (int s = 0; s < 2; ++s) {
      const VkDescriptorBufferInfo places[] = {{x[s], 0, 64}, {y, 0, 64}, {x[1 - s], 0, 64}};
      VkWriteDescriptorSet write{VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
      write.dstSet = sets[s], write.descriptorCount = 3, write.pBufferInfo = places;
      write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
      UpdateDescriptorSets(device, 1, &write, 0, nullptr);
    }

    VkCommandPoolCreateInfo commands_info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    VkCommandPool command_pool = VK_NULL_HANDLE;
    check(CreateCommandPool(device, &commands_info, nullptr, &command_pool), "vkCreateCommandPool");
    VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    allocate.commandPool = command_pool, allocate.commandBufferCount = 1;
    check(AllocateCommandBuffers(device, &allocate, &commands), "vkAllocateCommandBuffers");
    const VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    check(BeginCommandBuffer(commands, &begin), "vkBeginCommandBuffer");
    CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
    constexpr auto kStage = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    for (int i = 0; i < dispatches; ++i) {
      CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &sets[i % 2], 0, nullptr);
      CmdDispatch(commands, 1, 1, 1);
      CmdPipelineBarrier(commands, kStage, kStage, 0, 1, &barrier, 0, nullptr, 0, nullptr);
    }
    check(EndCommandBuffer(commands), "vkEndCommandBuffer");
  }

  void run() const {
    VkSubmitInfo submit{VK_STRUCTURE_TYPE_SUBMIT_INFO};
    submit.commandBufferCount = 1, submit.pCommandBuffers = &commands;
    check(QueueSubmit(queue, 1, &submit, fence), "vkQueueSubmit");
    check(WaitForFences(device, 1, &fence, VK_TRUE, UINT64_MAX), "vkWaitForFences");
    check(ResetFences(device, 1, &fence), "vkResetFences");
  }
};

}  // namespace

Call raw_replay(const std::string& plugin, const std::string& device, int dispatches) {
  if (plugin != "vulkan") return nullptr;
  auto raw = std::make_shared<Raw>();
  raw->open(device);
  raw->record(dispatches);
  return [raw] { raw->run(); };
}

}  // namespace backplane::bench

#else

namespace backplane::bench {

Call raw_replay(const std::string&, const std::string&, int) { return nullptr; }

}  // namespace backplane::bench

#endif
