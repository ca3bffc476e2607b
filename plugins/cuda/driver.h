// SPDX-License-Identifier: Apache-2.0
// The CUDA driver (libcuda.so.1), opened at run time, so that the plugin loads on a machine without one and can say so.
// Its error codes as Failures with a name, and with the code of the ABI that they mean.
#pragma once

#include <cuda.h>

#include <string>

#include "backplane/sdk/error.hpp"
#include "backplane/sdk/negotiate.hpp"

namespace backplane::cuda {

#define BACKPLANE_CUDA_CALLS(X)                                                                                        \
  X(Init) X(DriverGetVersion) X(GetErrorName) X(DeviceGetCount) X(DeviceGet) X(DeviceGetName) X(DeviceGetAttribute)     \
  X(DeviceGetUuid) X(DeviceGetPCIBusId) X(DeviceTotalMem) X(DevicePrimaryCtxRetain) X(DevicePrimaryCtxRelease)          \
  X(CtxGetCurrent) X(CtxSetCurrent) X(MemGetInfo) X(MemAlloc) X(MemFree) X(MemHostAlloc) X(MemFreeHost)                 \
  X(MemHostRegister) X(MemHostUnregister) X(MemHostGetDevicePointer) X(MemcpyHtoDAsync) X(MemcpyDtoHAsync)              \
  X(PointerGetAttribute) X(DeviceCanAccessPeer) X(CtxEnablePeerAccess) X(MemcpyPeerAsync)                              \
  X(MemcpyDtoDAsync) X(MemsetD8Async) X(MemsetD16Async) X(MemsetD32Async) X(MemsetD2D8Async) X(MemsetD2D32Async)        \
  X(StreamCreate) X(StreamDestroy) X(StreamSynchronize) X(StreamWaitEvent) X(StreamBeginCapture)         \
  X(StreamEndCapture) X(GraphInstantiate) X(GraphLaunch) X(GraphDestroy) X(GraphExecDestroy) X(EventCreate)             \
  X(EventDestroy) X(EventRecord) X(EventRecordWithFlags) X(EventQuery) X(EventSynchronize) X(EventElapsedTime)          \
  X(ModuleLoadData) X(ModuleUnload) X(ModuleGetFunction) X(LaunchKernel)

struct Api {
#define X(name) decltype(&::cu##name) name = nullptr;
  BACKPLANE_CUDA_CALLS(X)
#undef X
};

/// The driver's functions, once open_driver() has returned.
const Api& cu();

/// Opens and starts the driver, once per process: setting `cuda.driver`, or libcuda.so.1. Throws BP_E_UNAVAILABLE with the reason.
void open_driver(const sdk::Host& host);

std::string code_name(CUresult code);
/// The failure of call `what`, where `code` is not CUDA_SUCCESS.
sdk::Failure failure_of(CUresult code, const std::string& what);
/// Codes that leave the context unusable: every later call would return them too.
bool means_device_lost(CUresult code);

inline void check(CUresult code, const char* what) {
  if (code != CUDA_SUCCESS) [[unlikely]] throw failure_of(code, what);
}

/// A context made current on this thread for as long as this lives; the thread's own one comes back afterwards, since
/// other libraries of the process keep their device there.
class Current {
 public:
  explicit Current(CUcontext context) {
    cu().CtxGetCurrent(&previous_);
    changed_ = previous_ != context;
    if (changed_) code_ = cu().CtxSetCurrent(context);
  }
  ~Current() {
    if (changed_) cu().CtxSetCurrent(previous_);
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  CUresult code() const { return code_; }

 private:
  CUcontext previous_ = nullptr;
  bool changed_ = false;
  CUresult code_ = CUDA_SUCCESS;
};

/// The context that is current on this thread.
inline CUcontext current_context() {
  CUcontext context = nullptr;
  cu().CtxGetCurrent(&context);
  return context;
}

/// dlopen, or a text that says why not.
void* open_library(const char* name, std::string& problem);

}  // namespace backplane::cuda
