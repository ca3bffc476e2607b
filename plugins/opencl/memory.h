// SPDX-License-Identifier: Apache-2.0
// Device memory: large cl_mem chunks that buffers are cut from, because creating a cl_mem is slow and drivers limit
// their number. A buffer is a range of a chunk; kernels get the chunk and add the offset themselves, so no sub-buffers.
//
// Staging memory is host memory that the driver has page-locked and mapped. On devices that are the CPU every chunk is
// host memory used in place, staging or not.
#pragma once

#include <memory>

#include "backplane/devicekit/pool.h"
#include "devices.h"
#include "loader.h"

namespace backplane::opencl {

struct Chunk : devicekit::Chunk {
  Chunk(cl_context context, cl_command_queue queue, uint64_t bytes, bool host_memory, bool staging);
  ~Chunk() override;
  cl_mem memory = nullptr;
  char* host = nullptr;  ///< where the host sees it; NULL when it does not

 private:
  void map_host_memory(cl_context context);
  void release() noexcept;
  cl_command_queue queue_;
  const bool host_memory_;
};

struct Buffer {
  Buffer(std::shared_ptr<devicekit::Pool> pool, uint64_t bytes, uint32_t kind);  ///< a range of the pool
  Buffer(cl_mem imported, void* host, uint64_t bytes);                           ///< owns `imported`
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void* host_pointer() const { return host; }

  cl_mem memory = nullptr;
  uint64_t base = 0;     ///< of this buffer in `memory`, bytes
  uint64_t bytes = 0;
  char* host = nullptr;

 private:
  std::shared_ptr<devicekit::Pool> pool_;  // NULL: imported
  devicekit::Range range_;
};

/// `queue` serves mapping and touching only; it lives as long as the pool.
std::shared_ptr<devicekit::Pool> make_pool(const DeviceEntry& entry, cl_context context, cl_command_queue queue);

}  // namespace backplane::opencl
