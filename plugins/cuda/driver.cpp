// SPDX-License-Identifier: Apache-2.0
#include "driver.h"

#include <dlfcn.h>

#include <mutex>

namespace backplane::cuda {
namespace {

constexpr const char* kLibrary = "libcuda.so.1";

Api api;

#define TEXT_OF(x) #x
#define SYMBOL(x) TEXT_OF(x)  // cuda.h maps names to versions by macros: "cuMemAlloc_v2"

std::string load(const std::string& path) {
  std::string problem;
  void* library = open_library(path.c_str(), problem);
  if (library == nullptr) return "no NVIDIA driver (" + std::string(kLibrary) + "): " + problem;
#define X(name)                                                                                                  \
  api.name = reinterpret_cast<decltype(api.name)>(dlsym(library, SYMBOL(cu##name)));                             \
  if (api.name == nullptr) return path + " has no " SYMBOL(cu##name) "; update the NVIDIA driver";
  BACKPLANE_CUDA_CALLS(X)
#undef X
  const CUresult code = api.Init(0);
  if (code == CUDA_ERROR_NO_DEVICE) return "the NVIDIA driver finds no device";
  if (code == CUDA_ERROR_STUB_LIBRARY) return "no NVIDIA driver (" + path + " is the toolkit's stub)";
  if (code != CUDA_SUCCESS) return "the NVIDIA driver does not start: " + code_name(code);
  return {};
}

}  // namespace

const Api& cu() { return api; }

void* open_library(const char* name, std::string& problem) {
  void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    problem = why != nullptr ? why : "unknown reason";
  }
  return library;
}

void open_driver(const sdk::Host& host) {
  static std::mutex mutex;
  static bool opened = false;
  static std::string problem;
  std::lock_guard<std::mutex> lock(mutex);
  if (!opened) {
    problem = load(host.config("cuda.driver").value_or(kLibrary));
    opened = true;
  }
  if (!problem.empty()) throw sdk::Failure(BP_E_UNAVAILABLE, problem);
}

std::string code_name(CUresult code) {
  const char* name = nullptr;
  if (api.GetErrorName != nullptr && api.GetErrorName(code, &name) == CUDA_SUCCESS && name != nullptr) return name;
  return "CUDA error " + std::to_string(static_cast<int>(code));
}

sdk::Failure failure_of(CUresult code, const std::string& what) {
  const bool memory = code == CUDA_ERROR_OUT_OF_MEMORY;
  const bp_status status = memory                               ? BP_E_OUT_OF_MEMORY
                           : means_device_lost(code)            ? BP_E_DEVICE_LOST
                           : code == CUDA_ERROR_NOT_SUPPORTED   ? BP_E_UNSUPPORTED
                           : code == CUDA_ERROR_INVALID_IMAGE   ? BP_E_COMPILE
                           : code == CUDA_ERROR_NO_BINARY_FOR_GPU ? BP_E_COMPILE
                                                                : BP_E_INTERNAL;
  return sdk::Failure(status, "[cuda] " + what + " failed: " + code_name(code) +
                                  (memory ? "; free buffers or use smaller batches" : ""),
                      BP_SCOPE_CALL, memory ? uint32_t{BP_ERROR_RETRYABLE} : 0, "cuda", code);
}

bool means_device_lost(CUresult code) {
  switch (code) {
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_DEVICE_UNAVAILABLE:
      return true;
    default:
      return false;
  }
}

}  // namespace backplane::cuda
