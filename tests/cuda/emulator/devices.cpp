// SPDX-License-Identifier: Apache-2.0
// Emulated devices: one, or as many as CUDA_EMULATOR_DEVICES says, each with its context; and copies between them.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "calls.h"
#include "control.h"

using namespace emulator;

namespace emulator {
thread_local CUcontext current = nullptr;

namespace {

constexpr int kMostDevices = 4;
CUctx_st contexts[kMostDevices] = {{0}, {1}, {2}, {3}};
std::set<std::pair<int, int>> reached;  // from, to
uint64_t peer_copies = 0;

int device_count() {
  const char* text = std::getenv("CUDA_EMULATOR_DEVICES");
  return text == nullptr ? 1 : std::clamp(std::atoi(text), 1, kMostDevices);
}

}  // namespace
}  // namespace emulator

extern "C" {

uint64_t cuda_emulator_peer_copies() { return peer_copies; }

CUresult cuDeviceGetCount(int* count) { CALL_ANYWHERE("cuDeviceGetCount"); *count = device_count(); return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice* device, int ordinal) { CALL_ANYWHERE("cuDeviceGet"); *device = ordinal; return CUDA_SUCCESS; }
CUresult cuDeviceGetName(char* name, int length, CUdevice) {
  std::snprintf(name, static_cast<size_t>(length), "Emulated GPU");
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetPCIBusId(char* text, int length, CUdevice device) {
  std::snprintf(text, static_cast<size_t>(length), "0000:%02x:00.0", device);
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) { std::memset(uuid->bytes, 0x42 + device, 16); return CUDA_SUCCESS; }
CUresult cuDeviceTotalMem(size_t* bytes, CUdevice) { *bytes = kMemory; return CUDA_SUCCESS; }
CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  static const std::map<int, int> values = {
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9}, {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0},
      {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0}, {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 4},
      {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024}, {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024}, {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647}, {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535}, {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 49152},
      {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32}};
  const auto at = values.find(attribute);
  NEED(at != values.end());
  *value = at->second;
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext* out, CUdevice device) {
  CALL_ANYWHERE("cuDevicePrimaryCtxRetain");
  NEED(device >= 0 && device < device_count());
  *out = &contexts[device];
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease(CUdevice) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext* out) { *out = current; return CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext wanted) { current = wanted; return CUDA_SUCCESS; }

CUresult cuDeviceCanAccessPeer(int* can, CUdevice from, CUdevice to) {
  CALL_ANYWHERE("cuDeviceCanAccessPeer");
  *can = from != to;
  return CUDA_SUCCESS;
}
CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
  CALL("cuCtxEnablePeerAccess");
  NEED(peer != current && flags == 0);
  return reached.emplace(current->device, peer->device).second ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
}
CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t bytes,
                           CUstream stream) {
  CALL("cuMemcpyPeerAsync");
  NEED(owner(to, bytes) == to_context->device && owner(from, bytes) == from_context->device);
  ++peer_copies;
  stream->stream->add([=] { return std::memcpy(pointer(to), pointer(from), bytes), 0; });
  return CUDA_SUCCESS;
}

}  // extern "C"
