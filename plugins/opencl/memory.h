// SPDX-License-Identifier: Apache-2.0
// Device memory: large cl_mem chunks that buffers are cut from, because creating a cl_mem is slow and drivers limit
// their number. A buffer is a chunk and an offset; kernels get the chunk and add the offset themselves, so no sub-buffers.
//
// Three arenas: small buffers share chunks, large ones get chunks of their own that are kept for the next request, and
// staging memory is host memory that the driver has page-locked and mapped. On devices that are the CPU every chunk is
// host memory used in place, and the staging arena is not needed.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "loader.h"
#include "devices.h"

namespace backplane::opencl {

struct Chunk {
  cl_mem memory = nullptr;
  char* host = nullptr;                  ///< where the host sees it; NULL when it does not
  uint64_t bytes = 0;
  uint64_t used = 0;
  std::map<uint64_t, uint64_t> free;     ///< offset -> bytes; neighbours are always merged
};

class MemoryPool;

struct Buffer {
  cl_mem memory = nullptr;
  uint64_t base = 0;    ///< of this buffer in `memory`, bytes
  uint64_t bytes = 0;
  char* host = nullptr;
  std::shared_ptr<MemoryPool> pool;  ///< NULL: imported
  Chunk* chunk = nullptr;
  int arena = 0;

  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();
  void* host_pointer() const { return host; }
};

class MemoryPool : public std::enable_shared_from_this<MemoryPool> {
 public:
  /// `queue` serves mapping and touching only; it lives as long as the pool.
  MemoryPool(const DeviceEntry& entry, cl_context context, cl_command_queue queue);
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  std::unique_ptr<Buffer> take(uint64_t bytes, uint32_t kind);
  void give(Buffer& buffer) noexcept;
  uint64_t used() const;
  uint64_t available() const;

 private:
  struct Arena {
    std::set<std::tuple<uint64_t, Chunk*, uint64_t>> free;  ///< bytes, chunk, offset: the first that fits is the best
    std::vector<std::unique_ptr<Chunk>> chunks;
  };
  Chunk* add_chunk(Arena& arena, uint64_t bytes, bool staging);
  bool cut(Arena& arena, uint64_t bytes, Buffer& buffer);
  void release(Chunk& chunk) noexcept;
  void trim() noexcept;
  void create(Chunk& chunk, bool staging);

  const uint64_t total_, largest_;
  const bool host_memory_;
  cl_context context_;
  cl_command_queue queue_;
  mutable std::mutex mutex_;
  Arena arenas_[3];
  uint64_t used_ = 0, reserved_ = 0;
};

}  // namespace backplane::opencl
