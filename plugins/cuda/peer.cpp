// SPDX-License-Identifier: Apache-2.0
// Copies between two GPUs (bp.peer): straight where one reaches the other's memory, else the driver stages them through
// the host's. Either way they are work of the target's stream.
#include "device.h"

namespace backplane::cuda {

void Device::reach(const Device& other) {
  std::lock_guard<std::mutex> lock(reached_mutex_);
  if (!reached_.insert(other.entry_.handle).second) return;
  int can = 0;
  check(cu().DeviceCanAccessPeer(&can, entry_.handle, other.entry_.handle), "cuDeviceCanAccessPeer");
  if (can == 0) return;
  // The context is shared with other libraries of the process, which may have done it before.
  const CUresult code = cu().CtxEnablePeerAccess(other.context_, 0);
  if (code == CUDA_SUCCESS || code == CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED) return;
  host_.log(BP_LOG_INFO, "cuda", "device " + std::to_string(entry_.handle) + " does not reach the memory of device " +
                                     std::to_string(other.entry_.handle) + " (" + code_name(code) +
                                     "); copies go through the host's memory");
}

void Queue::copy_from(const bp_view& target, Device& from, const bp_view& source, uint64_t bytes) {
  const CUdeviceptr data = checked(source, bytes);
  { const Current alive = from.enter(); }  // throws once that device is lost
  const Current current = device_.enter();
  not_while_capturing("a copy between devices");
  if (bytes == 0) return;
  if (from.entry().handle != device_.entry().handle) device_.reach(from);
  check(cu().MemcpyPeerAsync(checked(target, bytes), device_.context(), data, from.context(), bytes, stream_),
        "cuMemcpyPeerAsync");
}

}  // namespace backplane::cuda
