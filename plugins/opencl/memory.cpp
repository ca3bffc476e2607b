// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <sys/mman.h>

#include <algorithm>

#include "status.h"

namespace backplane::opencl {
namespace {

constexpr uint64_t kAlignment = 256;
constexpr uint64_t kSmallChunk = 32u << 20;
constexpr uint64_t kLarge = 1u << 20;         // buffers from here on get chunks of their own
constexpr uint64_t kLargeStep = 64u << 10;
enum { kSmallArena = 0, kLargeArena = 1, kStagingArena = 2 };

uint64_t round_up(uint64_t bytes, uint64_t step) { return (bytes + step - 1) / step * step; }

[[noreturn]] void out_of_memory(uint64_t bytes, const std::string& why) {
  throw sdk::Failure(BP_E_OUT_OF_MEMORY, "[memory] cannot allocate " + std::to_string(bytes) + " bytes: " + why +
                                             "; free buffers or use smaller batches",
                     BP_SCOPE_CALL, BP_ERROR_RETRYABLE);
}

}  // namespace

Buffer::~Buffer() {
  if (pool != nullptr) pool->give(*this);
  else if (memory != nullptr) cl().ReleaseMemObject(memory);
}

MemoryPool::MemoryPool(const DeviceEntry& entry, cl_context context, cl_command_queue queue)
    : total_(entry.info.memory_total), largest_(entry.info.max_allocation), host_memory_(entry.host_memory),
      context_(context), queue_(queue) {}

MemoryPool::~MemoryPool() {
  for (Arena& arena : arenas_) {
    for (const auto& chunk : arena.chunks) release(*chunk);
  }
}

std::unique_ptr<Buffer> MemoryPool::take(uint64_t bytes, uint32_t kind) {
  if (bytes > largest_) {
    out_of_memory(bytes, "this device allocates at most " + std::to_string(largest_) + " at once");
  }
  const bool staging = kind == BP_MEMORY_STAGING && !host_memory_;
  const uint64_t rounded = round_up(bytes, bytes < kLarge ? kAlignment : kLargeStep);
  const int index = staging ? kStagingArena : bytes < kLarge ? kSmallArena : kLargeArena;
  auto buffer = std::make_unique<Buffer>();
  std::lock_guard<std::mutex> lock(mutex_);
  Arena& arena = arenas_[index];
  if (!cut(arena, rounded, *buffer)) {
    const uint64_t wanted = index == kLargeArena ? rounded : std::max(rounded, std::min(kSmallChunk, largest_));
    try {
      add_chunk(arena, wanted, staging);
    } catch (const sdk::Failure&) {
      trim();
      add_chunk(arena, rounded, staging);
    }
    cut(arena, rounded, *buffer);
  }
  buffer->bytes = bytes;
  buffer->arena = index;
  buffer->pool = shared_from_this();
  used_ += bytes;
  return buffer;
}

bool MemoryPool::cut(Arena& arena, uint64_t bytes, Buffer& buffer) {
  const auto at = arena.free.lower_bound({bytes, nullptr, 0});
  if (at == arena.free.end()) return false;
  const auto [size, chunk, offset] = *at;
  // A large block that would be cut in half is better kept for a request of its own size.
  if (&arena == &arenas_[kLargeArena] && size > 2 * bytes) return false;
  if (size > bytes) {
    chunk->free.emplace(offset + bytes, size - bytes);
    arena.free.emplace(size - bytes, chunk, offset + bytes);
  }
  chunk->free.erase(offset);
  arena.free.erase(at);
  chunk->used += bytes;
  buffer.memory = chunk->memory;
  buffer.base = offset;
  buffer.chunk = chunk;
  buffer.host = chunk->host != nullptr ? chunk->host + offset : nullptr;
  return true;
}

void MemoryPool::give(Buffer& buffer) noexcept {
  std::lock_guard<std::mutex> lock(mutex_);
  Arena& arena = arenas_[buffer.arena];
  Chunk& chunk = *buffer.chunk;
  uint64_t offset = buffer.base;
  uint64_t bytes = round_up(buffer.bytes, buffer.bytes < kLarge ? kAlignment : kLargeStep);
  used_ -= buffer.bytes;
  chunk.used -= bytes;
  const auto swallow = [&](std::map<uint64_t, uint64_t>::iterator neighbour) {
    offset = std::min(offset, neighbour->first);
    bytes += neighbour->second;
    arena.free.erase({neighbour->second, &chunk, neighbour->first});
    chunk.free.erase(neighbour);
  };
  if (const auto after = chunk.free.find(offset + bytes); after != chunk.free.end()) swallow(after);
  if (auto before = chunk.free.lower_bound(offset); before != chunk.free.begin()) {
    --before;
    if (before->first + before->second == offset) swallow(before);
  }
  try {
    chunk.free.emplace(offset, bytes);
    arena.free.emplace(bytes, &chunk, offset);
  } catch (...) {  // no host memory to note it: this piece is lost until its chunk goes
    chunk.free.erase(offset);
  }
  // Half of the device's memory may lie idle here, then it goes back.
  if (chunk.used == 0 && reserved_ - used_ > total_ / 2) trim();
}

Chunk* MemoryPool::add_chunk(Arena& arena, uint64_t bytes, bool staging) {
  if (reserved_ + bytes > total_) {
    trim();
    if (reserved_ + bytes > total_) {
      out_of_memory(bytes, std::to_string(used_) + " of " + std::to_string(total_) + " bytes are in use");
    }
  }
  auto chunk = std::make_unique<Chunk>();
  chunk->bytes = bytes;
  arena.chunks.push_back(nullptr);
  try {
    create(*chunk, staging);
    chunk->free.emplace(0, bytes);
    arena.free.emplace(bytes, chunk.get(), 0);
  } catch (...) {
    arena.chunks.pop_back();
    release(*chunk);
    throw;
  }
  reserved_ += bytes;
  arena.chunks.back() = std::move(chunk);
  return arena.chunks.back().get();
}

void MemoryPool::create(Chunk& chunk, bool staging) {
  cl_int code = CL_SUCCESS;
  if (host_memory_) {
    void* data = mmap(nullptr, chunk.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) out_of_memory(chunk.bytes, "the system has no more");
    madvise(data, chunk.bytes, MADV_HUGEPAGE);  // advice: failure changes nothing
    chunk.host = static_cast<char*>(data);
    chunk.memory = cl().CreateBuffer(context_, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, chunk.bytes, data, &code);
    check(code, "clCreateBuffer");
    return;
  }
  const cl_mem_flags flags = CL_MEM_READ_WRITE | (staging ? CL_MEM_ALLOC_HOST_PTR : 0);
  chunk.memory = cl().CreateBuffer(context_, flags, chunk.bytes, nullptr, &code);
  check(code, "clCreateBuffer");
  if (staging) {
    // Mapped for good. Strictly, commands may not use a mapped buffer; the queue therefore moves staging memory through
    // its host address.
    chunk.host = static_cast<char*>(cl().EnqueueMapBuffer(queue_, chunk.memory, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                                          chunk.bytes, 0, nullptr, nullptr, &code));
    check(code, "clEnqueueMapBuffer");
  } else {
    // Drivers allocate at first use, and then it is a kernel that fails: ask for the memory now.
    check(cl().EnqueueMigrateMemObjects(queue_, 1, &chunk.memory, CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED, 0, nullptr,
                                        nullptr),
          "clEnqueueMigrateMemObjects");
    check(cl().Finish(queue_), "allocating device memory");
  }
}

void MemoryPool::release(Chunk& chunk) noexcept {
  if (chunk.memory != nullptr) {
    if (chunk.host != nullptr && !host_memory_) {
      cl().EnqueueUnmapMemObject(queue_, chunk.memory, chunk.host, 0, nullptr, nullptr);
      cl().Finish(queue_);
    }
    cl().ReleaseMemObject(chunk.memory);
  }
  if (host_memory_ && chunk.host != nullptr) munmap(chunk.host, chunk.bytes);
  chunk.memory = nullptr;
}

void MemoryPool::trim() noexcept {
  for (Arena& arena : arenas_) {
    std::erase_if(arena.chunks, [&](const std::unique_ptr<Chunk>& chunk) {
      if (chunk == nullptr || chunk->used != 0) return false;
      for (const auto& [offset, bytes] : chunk->free) arena.free.erase({bytes, chunk.get(), offset});
      reserved_ -= chunk->bytes;
      release(*chunk);
      return true;
    });
  }
}

uint64_t MemoryPool::used() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return used_;
}
uint64_t MemoryPool::available() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return total_ > used_ ? total_ - used_ : 0;
}

}  // namespace backplane::opencl
