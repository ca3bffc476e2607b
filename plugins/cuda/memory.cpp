// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <algorithm>

namespace backplane::cuda {
namespace {

struct Chunk : devicekit::Chunk {
  Chunk(uint64_t size, bool staging) {
    bytes = size;
    if (!staging) {
      check(cu().MemAlloc(&address, bytes), "cuMemAlloc");
      return;
    }
    void* data = nullptr;
    check(cu().MemHostAlloc(&data, bytes, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP), "cuMemHostAlloc");
    host = static_cast<char*>(data);
    if (const CUresult code = cu().MemHostGetDevicePointer(&address, data, 0); code != CUDA_SUCCESS) {
      cu().MemFreeHost(data);
      check(code, "cuMemHostGetDevicePointer");
    }
  }
  ~Chunk() override {
    const Current current(context_);
    if (host != nullptr) cu().MemFreeHost(host);
    else cu().MemFree(address);
  }
  CUdeviceptr address = 0;
  char* host = nullptr;

 private:
  const CUcontext context_ = current_context();
};

}  // namespace

Buffer::Buffer(std::shared_ptr<devicekit::Pool> pool, uint64_t size, uint32_t kind)
    : bytes(size), pool_(std::move(pool)), range_(pool_->take(size, kind)) {
  const auto& chunk = static_cast<const Chunk&>(*range_.chunk);
  address = chunk.address + range_.offset;
  host = chunk.host != nullptr ? chunk.host + range_.offset : nullptr;
}

void Buffer::unregister() const {
  const Current current(context_);
  cu().MemHostUnregister(host);
}

Buffer::Buffer(void* data, uint64_t size)
    : bytes(size), host(static_cast<char*>(data)), context_(current_context()) {
  check(cu().MemHostRegister(data, bytes, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP),
        "cuMemHostRegister");
  if (const CUresult code = cu().MemHostGetDevicePointer(&address, data, 0); code != CUDA_SUCCESS) {
    unregister();
    check(code, "cuMemHostGetDevicePointer");
  }
}

Buffer::~Buffer() {
  if (pool_ != nullptr) pool_->give(range_);
  else if (context_ != nullptr) unregister();
}

std::shared_ptr<devicekit::Pool> make_pool(uint64_t cap, uint64_t largest) {
  devicekit::PoolLimits limits;
  limits.total = cap;
  limits.largest = largest;
  limits.keep_idle = std::min(cap / 2, uint64_t{64} << 30);
  limits.own_chunk_from = 16u << 20;
  return std::make_shared<devicekit::Pool>(limits, [](uint64_t bytes, uint32_t kind) {
    return std::make_unique<Chunk>(bytes, kind == BP_MEMORY_STAGING);
  });
}

}  // namespace backplane::cuda
