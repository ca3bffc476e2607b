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

uint64_t round_up(uint64_t bytes, uint64_t alignment) { return (bytes + alignment - 1) / alignment * alignment; }

[[noreturn]] void out_of_memory(uint64_t bytes, const std::string& why) {
  throw sdk::Failure(
      BP_E_OUT_OF_MEMORY,
      "[vulkan] cannot allocate " + std::to_string(bytes) + " bytes: " + why + "; free buffers or use smaller batches",
      BP_SCOPE_CALL, BP_ERROR_RETRYABLE, "vulkan", VK_ERROR_OUT_OF_DEVICE_MEMORY);
}

}  // namespace

Memory::Memory(Gpu& gpu) : gpu_(gpu) {
  type_[BP_MEMORY_DEVICE] = choose_type(BP_MEMORY_DEVICE);
  type_[BP_MEMORY_STAGING] = choose_type(BP_MEMORY_STAGING);
  const VkPhysicalDeviceMemoryProperties& memory = gpu.adapter.memory;
  const VkMemoryType& device = memory.memoryTypes[type_[BP_MEMORY_DEVICE]];
  mapped_[BP_MEMORY_DEVICE] = gpu.adapter.unified() && (device.propertyFlags & kHost) == kHost;
  const uint64_t heap = memory.memoryHeaps[device.heapIndex].size;
  alignment_ = std::max<uint64_t>(alignment_, gpu.binding_alignment());
  block_bytes_ = std::clamp<uint64_t>(heap / 32, uint64_t{8} << 20, uint64_t{256} << 20);
  keep_bytes_ = heap / 8;
  VkPhysicalDeviceMaintenance3Properties limits{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
  VkPhysicalDeviceProperties2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  all.pNext = &limits;
  gpu.instance.GetPhysicalDeviceProperties2(gpu.adapter.handle, &all);
  largest_ = std::min(limits.maxMemoryAllocationSize, heap);
  cap_ = UINT64_MAX;
  if (const auto text = gpu.host.config("vulkan.memory_cap_mb")) {
    char* end = nullptr;
    const unsigned long long mb = std::strtoull(text->c_str(), &end, 10);
    if (end != text->c_str() && *end == '\0' && mb >= 1 && mb < (1ull << 40)) {
      cap_ = mb << 20;
    } else {
      gpu.host.log(BP_LOG_WARNING, "vulkan", "vulkan.memory_cap_mb is '" + *text + "', not a number of MiB; ignored");
    }
  }
}

Memory::~Memory() {
  for (Block& block : blocks_) destroy(block);
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
  info.usage = kUsage;
  VkBuffer buffer = VK_NULL_HANDLE;
  gpu_.check(gpu_.vk.CreateBuffer(gpu_.handle, &info, nullptr, &buffer), "vkCreateBuffer");
  return buffer;
}

/// NULL when the device has no memory left for it.
Block* Memory::try_block(uint64_t bytes, uint32_t kind) {
  if (bytes > largest_ || reserved_ + bytes > cap_) return nullptr;
  Block block;
  block.type = type_[kind];
  block.buffer = create_buffer(bytes, false);
  VkMemoryRequirements needs;
  gpu_.vk.GetBufferMemoryRequirements(gpu_.handle, block.buffer, &needs);
  VkMemoryAllocateInfo info{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  info.allocationSize = needs.size;
  info.memoryTypeIndex = block.type;
  VkResult result = gpu_.vk.AllocateMemory(gpu_.handle, &info, nullptr, &block.memory);
  if (result == VK_SUCCESS) result = gpu_.vk.BindBufferMemory(gpu_.handle, block.buffer, block.memory, 0);
  if (result == VK_SUCCESS && mapped_[kind]) {
    result = gpu_.vk.MapMemory(gpu_.handle, block.memory, 0, VK_WHOLE_SIZE, 0, reinterpret_cast<void**>(&block.mapped));
  }
  if (result != VK_SUCCESS) {
    gpu_.vk.DestroyBuffer(gpu_.handle, block.buffer, nullptr);
    if (block.memory != VK_NULL_HANDLE) gpu_.vk.FreeMemory(gpu_.handle, block.memory, nullptr);
    if (result == VK_ERROR_DEVICE_LOST) gpu_.check(result, "vkAllocateMemory");
    return nullptr;
  }
  block.bytes = bytes;
  block.free.emplace(0, bytes);
  reserved_ += bytes;
  blocks_.push_back(std::move(block));
  return &blocks_.back();
}

Block* Memory::make_block(uint64_t bytes, uint32_t kind) {
  if (bytes <= block_bytes_ / 2) {
    if (Block* block = try_block(block_bytes_, kind)) return block;
  }
  if (Block* block = try_block(bytes, kind)) return block;
  return release_empty(0) ? try_block(bytes, kind) : nullptr;
}

void Memory::destroy(Block& block) {
  gpu_.vk.DestroyBuffer(gpu_.handle, block.buffer, nullptr);
  gpu_.vk.FreeMemory(gpu_.handle, block.memory, nullptr);
  if (!block.imported) reserved_ -= block.bytes;
}

/// Gives empty blocks back, oldest first, until they hold at most `keep` bytes. False when there were none.
bool Memory::release_empty(uint64_t keep) {
  const auto empty = [](const Block& b) {
    return !b.imported && b.free.size() == 1 && b.free.begin()->second == b.bytes;
  };
  uint64_t held = 0;
  bool any = false;
  for (const Block& block : blocks_) held += empty(block) ? block.bytes : 0;
  for (auto at = blocks_.begin(); at != blocks_.end() && held > keep;) {
    if (!empty(*at)) {
      ++at;
      continue;
    }
    held -= at->bytes;
    destroy(*at);
    at = blocks_.erase(at);
    any = true;
  }
  return any;
}

Allocation Memory::take(uint64_t bytes, uint32_t kind) {
  gpu_.require_alive();
  if (bytes > largest_) {
    out_of_memory(bytes, "this device allocates at most " + std::to_string(largest_) + " at once");
  }
  const uint64_t size = round_up(bytes, alignment_);
  std::lock_guard lock(mutex_);
  Block* best = nullptr;
  std::map<uint64_t, uint64_t>::iterator range;
  for (Block& block : blocks_) {  // the tightest range there is
    if (block.imported || block.type != type_[kind] || (mapped_[kind] && block.mapped == nullptr)) continue;
    for (auto at = block.free.begin(); at != block.free.end(); ++at) {
      if (at->second >= size && (best == nullptr || at->second < range->second)) best = &block, range = at;
    }
  }
  if (best == nullptr) {
    best = make_block(size, kind);
    if (best == nullptr) {
      out_of_memory(bytes, std::to_string(used_) + " are in use" +
                               (cap_ != UINT64_MAX ? " of the " + std::to_string(cap_) + " it was limited to" : ""));
    }
    range = best->free.begin();
  }
  const auto [offset, length] = *range;
  best->free.erase(range);
  if (length > size) best->free.emplace(offset + size, length - size);
  used_ += bytes;
  return {best, offset, bytes};
}

void Memory::give(const Allocation& allocation) {
  std::lock_guard lock(mutex_);
  used_ -= allocation.bytes;
  if (allocation.block->imported) {
    destroy(*allocation.block);
    blocks_.remove_if([&](const Block& block) { return &block == allocation.block; });
    return;
  }
  auto& free = allocation.block->free;
  uint64_t begin = allocation.offset, end = begin + round_up(allocation.bytes, alignment_);
  auto next = free.lower_bound(begin);
  if (next != free.end() && next->first == end) {
    end += next->second;
    next = free.erase(next);
  }
  if (next != free.begin()) {
    if (auto before = std::prev(next); before->first + before->second == begin) {
      begin = before->first;
      free.erase(before);
    }
  }
  free.emplace(begin, end - begin);
  if (end - begin == allocation.block->bytes) release_empty(keep_bytes_);
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
  std::lock_guard lock(mutex_);
  Block block;
  block.buffer = create_buffer(bytes, true);
  VkMemoryRequirements needs;
  gpu_.vk.GetBufferMemoryRequirements(gpu_.handle, block.buffer, &needs);
  VkImportMemoryHostPointerInfoEXT from{VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT};
  from.handleType = kHandle;
  from.pHostPointer = data;
  VkMemoryAllocateInfo info{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  info.pNext = &from;
  info.allocationSize = bytes;
  const uint32_t types = suits.memoryTypeBits & needs.memoryTypeBits;
  while (info.memoryTypeIndex < 32 && (types >> info.memoryTypeIndex & 1u) == 0) ++info.memoryTypeIndex;
  VkResult result = VK_ERROR_INVALID_EXTERNAL_HANDLE;
  if (types != 0 && needs.size <= bytes) result = gpu_.vk.AllocateMemory(gpu_.handle, &info, nullptr, &block.memory);
  if (result == VK_SUCCESS) result = gpu_.vk.BindBufferMemory(gpu_.handle, block.buffer, block.memory, 0);
  if (result != VK_SUCCESS) {
    gpu_.vk.DestroyBuffer(gpu_.handle, block.buffer, nullptr);
    if (block.memory != VK_NULL_HANDLE) gpu_.vk.FreeMemory(gpu_.handle, block.memory, nullptr);
    gpu_.check(result, "importing host memory");
  }
  block.bytes = bytes;
  block.mapped = static_cast<char*>(data);
  block.imported = true;
  used_ += bytes;
  blocks_.push_back(std::move(block));
  return {&blocks_.back(), 0, bytes};
}

uint64_t Memory::used() const {
  std::lock_guard lock(mutex_);
  return used_;
}
uint64_t Memory::reserved() const {
  std::lock_guard lock(mutex_);
  return reserved_;
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
