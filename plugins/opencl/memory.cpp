// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <sys/mman.h>

#include "status.h"

namespace backplane::opencl {

Chunk::Chunk(cl_context context, cl_command_queue queue, uint64_t size, bool host_memory, bool staging)
    : queue_(queue), host_memory_(host_memory) {
  bytes = size;
  try {
    if (host_memory) {
      map_host_memory(context);
      return;
    }
    cl_int code = CL_SUCCESS;
    memory = cl().CreateBuffer(context, CL_MEM_READ_WRITE | (staging ? CL_MEM_ALLOC_HOST_PTR : 0), bytes, nullptr, &code);
    check(code, "clCreateBuffer");
    if (staging) {
      // Mapped for good. Strictly, commands may not use a mapped buffer; the queue therefore moves staging memory through
      // its host address.
      host = static_cast<char*>(cl().EnqueueMapBuffer(queue, memory, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, bytes, 0,
                                                      nullptr, nullptr, &code));
      check(code, "clEnqueueMapBuffer");
      return;
    }
    // Drivers allocate at first use, and then it is a kernel that fails: ask for the memory now.
    check(cl().EnqueueMigrateMemObjects(queue, 1, &memory, CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED, 0, nullptr, nullptr),
          "clEnqueueMigrateMemObjects");
    check(cl().Finish(queue), "allocating device memory");
  } catch (...) {
    release();
    throw;
  }
}

Chunk::~Chunk() { release(); }

void Chunk::map_host_memory(cl_context context) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) devicekit::out_of_memory(bytes, "the system has no more");
  madvise(data, bytes, MADV_HUGEPAGE);  // advice: failure changes nothing
  host = static_cast<char*>(data);
  cl_int code = CL_SUCCESS;
  memory = cl().CreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, bytes, data, &code);
  check(code, "clCreateBuffer");
}

void Chunk::release() noexcept {
  if (memory != nullptr) {
    if (host != nullptr && !host_memory_) {
      cl().EnqueueUnmapMemObject(queue_, memory, host, 0, nullptr, nullptr);
      cl().Finish(queue_);
    }
    cl().ReleaseMemObject(memory);
  }
  if (host_memory_ && host != nullptr) munmap(host, bytes);
}

Buffer::Buffer(std::shared_ptr<devicekit::Pool> pool, uint64_t size, uint32_t kind)
    : bytes(size), pool_(std::move(pool)), range_(pool_->take(size, kind)) {
  const auto& chunk = static_cast<const Chunk&>(*range_.chunk);
  memory = chunk.memory;
  base = range_.offset;
  host = chunk.host != nullptr ? chunk.host + base : nullptr;
}

Buffer::Buffer(cl_mem imported, void* data, uint64_t size)
    : memory(imported), bytes(size), host(static_cast<char*>(data)) {}

Buffer::~Buffer() {
  if (pool_ != nullptr) pool_->give(range_);
  else cl().ReleaseMemObject(memory);
}

std::shared_ptr<devicekit::Pool> make_pool(const DeviceEntry& entry, cl_context context, cl_command_queue queue) {
  devicekit::PoolLimits limits;
  limits.total = entry.info.memory_total;
  limits.largest = entry.info.max_allocation;
  limits.keep_idle = limits.total / 2;
  const bool host_memory = entry.host_memory;
  return std::make_shared<devicekit::Pool>(limits, [=](uint64_t bytes, uint32_t kind) {
    return std::make_unique<Chunk>(context, queue, bytes, host_memory, kind == BP_MEMORY_STAGING);
  });
}

}  // namespace backplane::opencl
