// SPDX-License-Identifier: Apache-2.0
// Device memory and page-locked host memory, in chunks that buffers are cut from: cudaMalloc synchronises the device.
#pragma once

#include <memory>

#include "backplane/devicekit/pool.h"
#include "backplane/sdk/dlpack.hpp"
#include "driver.h"

namespace backplane::cuda {

struct Buffer {
  Buffer(std::shared_ptr<devicekit::Pool> pool, uint64_t bytes, uint32_t kind);  ///< a range of the pool
  Buffer(void* host, uint64_t bytes);  ///< host memory that is registered for as long as this lives
  Buffer(CUdeviceptr address, uint64_t bytes) : address(address), bytes(bytes) {}  ///< what `lent` keeps
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void* host_pointer() const { return host; }

  CUdeviceptr address = 0;
  uint64_t bytes = 0;
  char* host = nullptr;  ///< NULL: the host does not see it
  sdk::Lent lent;        ///< memory of another library

 private:
  void unregister() const;

  std::shared_ptr<devicekit::Pool> pool_;  // NULL: registered or lent
  devicekit::Range range_;
  CUcontext context_ = nullptr;
};

/// Chunks belong to the context that is current when they are made. `cap` bytes at most.
std::shared_ptr<devicekit::Pool> make_pool(uint64_t cap, uint64_t largest);

}  // namespace backplane::cuda
