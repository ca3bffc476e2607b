// SPDX-License-Identifier: Apache-2.0
// What every emulated call begins with: one lock, the faults that tests ask for, a context; and the structs behind handles.
#pragma once

#include <cuda.h>

#include <memory>
#include <mutex>

#include "streams.h"

struct CUctx_st {
  int device;
};
struct CUstream_st {
  std::shared_ptr<emulator::Stream> stream = std::make_shared<emulator::Stream>();
};

namespace emulator {

extern std::recursive_mutex mutex;      // every call
extern thread_local CUcontext current;  // of this thread

/// What a call returns instead of being done: a fault that a test asked for, a broken or missing context, or 0.
int trouble(const char* call, bool needs_context = true);

inline constexpr uint64_t kMemory = 4ull << 30;  ///< of one device

/// The device that all these bytes of device memory belong to, or -1.
int owner(CUdeviceptr address, size_t bytes);
inline char* pointer(CUdeviceptr address) { return reinterpret_cast<char*>(address); }

}  // namespace emulator

#define CALL(name)                                              \
  std::lock_guard<std::recursive_mutex> lock(emulator::mutex);  \
  if (const int code = emulator::trouble(name)) return static_cast<CUresult>(code)
#define CALL_ANYWHERE(name)                                     \
  std::lock_guard<std::recursive_mutex> lock(emulator::mutex);  \
  if (const int code = emulator::trouble(name, false)) return static_cast<CUresult>(code)
#define NEED(condition) \
  if (!(condition)) return CUDA_ERROR_INVALID_VALUE
