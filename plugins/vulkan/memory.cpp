// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace backplane::vulkan {
namespace {

constexpr VkBufferUsageFlags kUsage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |
                                      VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
constexpr VkMemoryPropertyFlags kHost = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
constexpr VkMemoryPropertyFlags kDevice = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;

}  // namespace

Block::~Block() {
  gpu.vk.DestroyBuffer(gpu.handle, buffer, nullptr);
  gpu.vk.FreeMemory(gpu.handle, memory, nullptr);
}

Memory::Memory(Gpu& gpu) : gpu_(gpu) {
  type_[BP_MEMORY_DEVICE] = choose_type(BP_MEMORY_DEVICE);
  type_[BP_MEMORY_STAGING] = choose_type(BP_MEMORY_STAGING);
  const VkMemoryType& device = gpu.adapter.memory.memoryTypes[type_[BP_MEMORY_DEVICE]];
  mapped_[BP_MEMORY_DEVICE] = gpu.adapter.unified() && (device.propertyFlags & kHost) == kHost;
  one_kind_ = mapped_[BP_MEMORY_DEVICE] && type_[BP_MEMORY_DEVICE] == type_[BP_MEMORY_STAGING];
  pool_ = std::make_unique<devicekit::Pool>(
      limits(), [this](uint64_t bytes, uint32_t kind) { return make_block(bytes, kind); });
}

devicekit::PoolLimits Memory::limits() const {
  VkPhysicalDeviceMaintenance3Properties driver{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
  VkPhysicalDeviceProperties2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  all.pNext = &driver;
  gpu_.instance.GetPhysicalDeviceProperties2(gpu_.adapter.handle, &all);
  const uint64_t heap = gpu_.adapter.memory.memoryHeaps[device_heap()].size;
  devicekit::PoolLimits limits;
  limits.largest = std::min(driver.maxMemoryAllocationSize, heap);
  limits.keep_idle = heap / 8;
  // A driver on the CPU hands out more than there is, and the system ends the process that uses it.
  if (gpu_.adapter.is_cpu()) limits.total = heap;
  limits.alignment = std::max<uint64_t>(limits.alignment, gpu_.binding_alignment());
  limits.shared_chunk = std::clamp<uint64_t>(heap / 32, uint64_t{8} << 20, uint64_t{256} << 20);
  limits.own_chunk_from = limits.shared_chunk / 2;
  if (const auto text = gpu_.host.config("vulkan.memory_cap_mb")) {
    char* end = nullptr;
    const unsigned long long mb = std::strtoull(text->c_str(), &end, 10);
    if (end != text->c_str() && *end == '\0' && mb >= 1 && mb < (1ull << 40)) {
      limits.total = mb << 20;
    } else {
      gpu_.host.log(BP_LOG_WARNING, "vulkan", "vulkan.memory_cap_mb is '" + *text + "', not a number of MiB; ignored");
    }
  }
  return limits;
}

/// The first type that has the most wanted properties; types are sorted by the driver, best first.
uint32_t Memory::choose_type(uint32_t kind) const {
  const VkPhysicalDeviceMemoryProperties& memory = gpu_.adapter.memory;
  const bool unified = gpu_.adapter.unified();
  int best = -1, best_score = -1;
  for (uint32_t type = 0; type < memory.memoryTypeCount; ++type) {
    const VkMemoryPropertyFlags flags = memory.memoryTypes[type].propertyFlags;
    if ((flags & (VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT | VK_MEMORY_PROPERTY_PROTECTED_BIT)) != 0) continue;
    const bool host = (flags & kHost) == kHost, local = (flags & kDevice) != 0, cached = (flags & kCached) != 0;
    if (kind == BP_MEMORY_STAGING && !host) continue;
    int score = 0;
    if (kind == BP_MEMORY_STAGING)
      score = (cached ? 2 : 0) + (local == unified ? 1 : 0);
    else
      score = (local ? 4 : 0) + (unified && host ? 2 : 0) + (unified && cached ? 1 : 0);
    if (score > best_score) best = static_cast<int>(type), best_score = score;
  }
  if (best < 0) throw sdk::Failure(BP_E_UNAVAILABLE, "[vulkan] the device has no memory that the host can see");
  return static_cast<uint32_t>(best);
}

VkBuffer Memory::create_buffer(uint64_t bytes, bool external) {
  VkExternalMemoryBufferCreateInfo from_host{VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO};
  from_host.handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
  VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.pNext = external ? &from_host : nullptr;
  info.size = bytes;
  info.usage = kUsage | (gpu_.facts.max_texel_buffers != 0 ? VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT : 0);
  VkBuffer buffer = VK_NULL_HANDLE;
  gpu_.check(gpu_.vk.CreateBuffer(gpu_.handle, &info, nullptr, &buffer), "vkCreateBuffer");
  return buffer;
}

std::unique_ptr<devicekit::Chunk> Memory::make_block(uint64_t bytes, uint32_t kind) {
  auto block = std::make_unique<Block>(gpu_);
  block->buffer = create_buffer(bytes, false);
  VkMemoryRequirements needs;
  gpu_.vk.GetBufferMemoryRequirements(gpu_.handle, block->buffer, &needs);
  VkMemoryAllocateInfo info{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  info.allocationSize = needs.size;
  info.memoryTypeIndex = type_[kind];
  VkResult result = gpu_.vk.AllocateMemory(gpu_.handle, &info, nullptr, &block->memory);
  if (result == VK_SUCCESS) result = gpu_.vk.BindBufferMemory(gpu_.handle, block->buffer, block->memory, 0);
  if (result == VK_SUCCESS && mapped_[kind]) {
    void* data = nullptr;
    result = gpu_.vk.MapMemory(gpu_.handle, block->memory, 0, VK_WHOLE_SIZE, 0, &data);
    block->mapped = static_cast<char*>(data);
  }
  if (result == VK_ERROR_DEVICE_LOST) gpu_.check(result, "vkAllocateMemory");
  if (result != VK_SUCCESS) {
    devicekit::out_of_memory(bytes, "the driver has no more");  // the pool is locked here: it cannot be asked
  }
  return block;
}

Allocation Memory::take(uint64_t bytes, uint32_t kind) {
  gpu_.require_alive();
  const devicekit::Range range = pool_->take(bytes, one_kind_ ? uint32_t{BP_MEMORY_DEVICE} : kind);
  return {static_cast<Block*>(range.chunk), range.offset, range.bytes, range.kind};
}

void Memory::give(const Allocation& allocation) {
  if (allocation.block->imported) {
    delete allocation.block;
  } else {
    pool_->give({allocation.block, allocation.offset, allocation.bytes, allocation.kind});
  }
}

Allocation Memory::import_host(void* data, uint64_t bytes) {
  gpu_.require_alive();
  if (!gpu_.host_import) {
    throw sdk::Failure(BP_E_UNSUPPORTED, "[vulkan] this driver imports no host memory (VK_EXT_external_memory_host)");
  }
  VkPhysicalDeviceExternalMemoryHostPropertiesEXT limits{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};
  VkPhysicalDeviceProperties2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  all.pNext = &limits;
  gpu_.instance.GetPhysicalDeviceProperties2(gpu_.adapter.handle, &all);
  const uint64_t unit = limits.minImportedHostPointerAlignment;
  if (reinterpret_cast<uintptr_t>(data) % unit != 0 || bytes % unit != 0 || bytes == 0) {
    throw sdk::Failure(BP_E_UNSUPPORTED, "[vulkan] imported memory has to begin and end at multiples of " +
                                             std::to_string(unit) + " bytes; copy it instead");
  }
  constexpr auto kHandle = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
  VkMemoryHostPointerPropertiesEXT suits{VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
  gpu_.check(gpu_.vk.GetMemoryHostPointerPropertiesEXT(gpu_.handle, kHandle, data, &suits),
             "vkGetMemoryHostPointerPropertiesEXT");
  auto block = std::make_unique<Block>(gpu_);
  block->buffer = create_buffer(bytes, true);
  VkMemoryRequirements needs;
  gpu_.vk.GetBufferMemoryRequirements(gpu_.handle, block->buffer, &needs);
  VkImportMemoryHostPointerInfoEXT from{VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT};
  from.handleType = kHandle;
  from.pHostPointer = data;
  VkMemoryAllocateInfo info{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  info.pNext = &from;
  info.allocationSize = bytes;
  const uint32_t types = suits.memoryTypeBits & needs.memoryTypeBits;
  while (info.memoryTypeIndex < 32 && (types >> info.memoryTypeIndex & 1u) == 0) ++info.memoryTypeIndex;
  VkResult result = VK_ERROR_INVALID_EXTERNAL_HANDLE;
  if (types != 0 && needs.size <= bytes) result = gpu_.vk.AllocateMemory(gpu_.handle, &info, nullptr, &block->memory);
  if (result == VK_SUCCESS) result = gpu_.vk.BindBufferMemory(gpu_.handle, block->buffer, block->memory, 0);
  gpu_.check(result, "importing host memory");
  block->bytes = bytes;
  block->mapped = static_cast<char*>(data);
  block->imported = true;
  return {block.release(), 0, bytes, BP_MEMORY_DEVICE};
}

uint32_t Memory::device_heap() const { return gpu_.adapter.memory.memoryTypes[type_[BP_MEMORY_DEVICE]].heapIndex; }
VkPhysicalDeviceMemoryBudgetPropertiesEXT Memory::budget() const {
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  if (!gpu_.memory_budget) return budget;
  VkPhysicalDeviceMemoryProperties2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
  all.pNext = &budget;
  gpu_.instance.GetPhysicalDeviceMemoryProperties2(gpu_.adapter.handle, &all);
  budget.pNext = nullptr;
  return budget;
}

}  // namespace backplane::vulkan
