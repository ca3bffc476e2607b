// SPDX-License-Identifier: Apache-2.0
#include "recorder.h"

#include <algorithm>

#include "texels.h"

namespace backplane::vulkan {
namespace {

constexpr VkPipelineStageFlags kWork = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
constexpr VkAccessFlags kWrites = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
constexpr VkAccessFlags kReads = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT;
constexpr size_t kMostRanges = 256;  // beyond this a barrier is cheaper than looking for conflicts
constexpr uint32_t kSetsPerPool = 128;

}  // namespace

void Commands::destroy_views(Gpu& gpu) {
  for (VkBufferView view : views) gpu.vk.DestroyBufferView(gpu.handle, view, nullptr);
  views.clear();
}

void Commands::destroy_bindings(Gpu& gpu) {
  destroy_views(gpu);
  for (VkDescriptorPool descriptors : pools) gpu.vk.DestroyDescriptorPool(gpu.handle, descriptors, nullptr);
}

void Recorder::begin(Commands& commands, bool many_times) {
  commands.pool = 0;
  commands.destroy_views(gpu_);
  for (VkDescriptorPool pool : commands.pools) gpu_.vk.ResetDescriptorPool(gpu_.handle, pool, 0);
  VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  info.flags = many_times ? VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT : VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  gpu_.check(gpu_.vk.BeginCommandBuffer(commands.handle, &info), "vkBeginCommandBuffer");
  commands_ = &commands;
  count_ = 0;
  bound_ = nullptr;
  barrier();
}

void Recorder::end() {
  VkMemoryBarrier to_all{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, kWrites,
                         kReads | kWrites | VK_ACCESS_HOST_READ_BIT};
  gpu_.vk.CmdPipelineBarrier(commands_->handle, kWork, kWork | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &to_all, 0, nullptr, 0,
                             nullptr);
  const VkCommandBuffer handle = commands_->handle;
  commands_ = nullptr;
  gpu_.check(gpu_.vk.EndCommandBuffer(handle), "vkEndCommandBuffer");
}

void Recorder::barrier() {
  VkMemoryBarrier all{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, kWrites, kReads | kWrites};
  gpu_.vk.CmdPipelineBarrier(commands_->handle, kWork, kWork, 0, 1, &all, 0, nullptr, 0, nullptr);
  touched_.clear();
}

void Recorder::touch(const Range* ranges, size_t count) {
  bool conflict = touched_.size() + count > kMostRanges;
  for (size_t i = 0; i < count && !conflict; ++i) {
    const Range& mine = ranges[i];
    for (const Range& other : touched_) {
      if (other.buffer == mine.buffer && (other.written || mine.written) && other.begin < mine.end &&
          mine.begin < other.end) {
        conflict = true;
        break;
      }
    }
  }
  if (conflict) barrier();
  touched_.insert(touched_.end(), ranges, ranges + count);
  ++count_;
}

void Recorder::launch(const PreparedLaunch& launch, const bp_view* inputs, const bp_view* outputs,
                      const bp_view& workspace) {
  VkDescriptorBufferInfo buffers[kMaxBuffers];
  Range ranges[kMaxBuffers] = {};
  int32_t words[kMaxWords];
  const uint64_t alignment = gpu_.binding_alignment();
  uint32_t count = 0;
  uint64_t misaligned = 0;
  for (const codegen::Slot& slot : launch.slots) {
    const bp_view& view = slot.from == codegen::Slot::From::input    ? inputs[slot.index]
                          : slot.from == codegen::Slot::From::output ? outputs[slot.index]
                                                                     : workspace;
    const Buffer* buffer = buffer_of(view);
    if (buffer == nullptr) throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[vulkan] a view of a launch has no buffer");
    const Allocation& place = buffer->allocation;
    const int64_t size = slot.element_size;
    const uint64_t origin = place.offset + view.offset + slot.offset;
    const uint64_t first = origin + static_cast<uint64_t>(slot.low * size);
    // An operand without elements may lie at its buffer's end: something has to be bound, and nothing is read.
    const uint64_t base = std::min(first, place.block->bytes - 1) / alignment * alignment;
    const uint64_t end = std::min(origin + static_cast<uint64_t>((slot.high + 1) * size), place.block->bytes);
    const uint64_t range = std::min((std::max(end, base + 1) - base + 15) / 16 * 16, place.block->bytes - base);
    buffers[count] = {place.block->buffer, base, range};
    ranges[count] = {place.block->buffer, base, base + range, slot.written};
    words[count] = static_cast<int32_t>(static_cast<int64_t>(origin - base) / size);
    misaligned |= origin;
    ++count;
  }
  touch(ranges, count);
  const bool aligned = launch.aligned != nullptr && misaligned % 16 == 0;
  const Pipeline& pipeline = aligned ? *launch.aligned : *launch.pipeline;
  const size_t total = count + launch.words.size();
  std::copy(launch.words.begin(), launch.words.end(), words + count);
  if (launch.word_buffer.block != nullptr) {
    buffers[count] = {launch.word_buffer.block->buffer, launch.word_buffer.offset,
                      (launch.word_buffer.bytes + 15) / 16 * 16};
  }
  bind(pipeline, buffers);
  gpu_.vk.CmdPushConstants(commands_->handle, pipeline.layout->pipeline, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                           static_cast<uint32_t>(total * sizeof(int32_t)), words);
  gpu_.vk.CmdDispatch(commands_->handle, launch.grid[0], launch.grid[1], launch.grid[2]);
}

void Recorder::bind(const Pipeline& pipeline, const VkDescriptorBufferInfo* places) {
  if (bound_ != &pipeline) {
    gpu_.vk.CmdBindPipeline(commands_->handle, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.handle);
    bound_ = &pipeline;
  }
  // Pushing descriptors into the command buffer measured no faster (llvmpipe: 9.4 to 10.2 us a dispatch either way),
  // and not every driver can.
  const VkDescriptorSet set = allocate_set(*pipeline.layout);
  VkWriteDescriptorSet writes[kMaxBuffers + kMaxTexelBuffers];
  VkBufferView views[kMaxTexelBuffers];
  uint32_t count = 0, texels = 0;
  for (const Binding& binding : pipeline.bindings) {
    VkWriteDescriptorSet& write = writes[count++] = {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
    write.dstSet = set;
    write.dstBinding = binding.number;
    write.descriptorCount = 1;
    write.descriptorType = binding.type;
    if (binding.type != VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER) {
      write.pBufferInfo = &places[binding.place];
      continue;
    }
    VkBufferView& view = views[texels++];
    commands_->views.push_back(VK_NULL_HANDLE);
    commands_->views.back() = view = create_texel_view(gpu_, binding.texels, places[binding.place]);
    write.pTexelBufferView = &view;
  }
  gpu_.vk.UpdateDescriptorSets(gpu_.handle, count, writes, 0, nullptr);
  gpu_.vk.CmdBindDescriptorSets(commands_->handle, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout->pipeline, 0, 1,
                                &set, 0, nullptr);
}

void Recorder::launch_nothing(const Pipeline& pipeline, const Allocation& dummy) {
  VkDescriptorBufferInfo buffers[kMaxBuffers];
  std::fill_n(buffers, kMaxBuffers, VkDescriptorBufferInfo{dummy.block->buffer, dummy.offset, dummy.bytes});
  const int32_t words[kMaxWords] = {};
  bind(pipeline, buffers);
  gpu_.vk.CmdPushConstants(commands_->handle, pipeline.layout->pipeline, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                           gpu_.facts.max_words * 4, words);
  gpu_.vk.CmdDispatch(commands_->handle, 0, 0, 0);
}

VkDescriptorSet Recorder::allocate_set(const Layout& layout) {
  VkDescriptorSetAllocateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  info.descriptorSetCount = 1;
  info.pSetLayouts = &layout.set;
  VkDescriptorSet set = VK_NULL_HANDLE;
  for (bool fresh = false;;) {
    if (commands_->pool == commands_->pools.size()) {
      const VkDescriptorPoolSize sizes[] = {{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, kSetsPerPool * 8},
                                            {VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, kSetsPerPool * 8},
                                            {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, kSetsPerPool}};
      VkDescriptorPoolCreateInfo pool{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
      pool.maxSets = kSetsPerPool;
      pool.poolSizeCount = 3;
      pool.pPoolSizes = sizes;
      commands_->pools.push_back(VK_NULL_HANDLE);
      gpu_.check(gpu_.vk.CreateDescriptorPool(gpu_.handle, &pool, nullptr, &commands_->pools.back()),
                 "vkCreateDescriptorPool");
      fresh = true;
    }
    info.descriptorPool = commands_->pools[commands_->pool];
    const VkResult result = gpu_.vk.AllocateDescriptorSets(gpu_.handle, &info, &set);
    if (result == VK_SUCCESS) return set;
    if (fresh || (result != VK_ERROR_OUT_OF_POOL_MEMORY && result != VK_ERROR_FRAGMENTED_POOL)) {
      gpu_.check(result, "vkAllocateDescriptorSets");
    }
    ++commands_->pool;  // this one is full
  }
}

void Recorder::copy(const Allocation& to, uint64_t to_offset, const Allocation& from, uint64_t from_offset,
                    uint64_t bytes) {
  const VkBufferCopy region{from.offset + from_offset, to.offset + to_offset, bytes};
  const Range ranges[] = {{from.block->buffer, region.srcOffset, region.srcOffset + bytes, false},
                          {to.block->buffer, region.dstOffset, region.dstOffset + bytes, true}};
  touch(ranges, 2);
  gpu_.vk.CmdCopyBuffer(commands_->handle, from.block->buffer, to.block->buffer, 1, &region);
}

void Recorder::fill(const Allocation& to, uint64_t offset, uint64_t bytes, uint32_t pattern) {
  const uint64_t begin = to.offset + offset;
  const Range range{to.block->buffer, begin, begin + bytes, true};
  touch(&range, 1);
  gpu_.vk.CmdFillBuffer(commands_->handle, to.block->buffer, begin, bytes, pattern);
}

void Recorder::stamp(VkQueryPool pool, uint32_t index) {
  barrier();
  gpu_.vk.CmdResetQueryPool(commands_->handle, pool, index, 1);
  gpu_.vk.CmdWriteTimestamp(commands_->handle, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool, index);
  ++count_;
}

}  // namespace backplane::vulkan
