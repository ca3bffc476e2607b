// SPDX-License-Identifier: Apache-2.0
// DLPack's tensors read and made: what they describe is checked and translated here, so that an author sees an address
// and a number of bytes.
//
// Reading refuses what bp_tensor_desc cannot say (other dtypes, vectors of lanes, rank above 8) and what no kernel
// could address (elements across their own size). The memory is not touched.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "backplane/dlpack.h"
#include "backplane/sdk/error.hpp"
#include "backplane/sdk/program.hpp"

namespace backplane::sdk {

/// Calls the deleter of a tensor that was received.
struct GiveBack {
  void operator()(DLManagedTensorVersioned* tensor) const noexcept {
    if (tensor->deleter != nullptr) tensor->deleter(tensor);
  }
};
/// Memory of somebody else: a Buffer with this as member `lent` keeps it as long as it lives. NULL: own memory.
using Lent = std::unique_ptr<DLManagedTensorVersioned, GiveBack>;

/// Where a buffer lies: what an author answers for dlpack_export.
struct DlpackPlace {
  DLDevice device;
  void* address;
};

inline constexpr struct {
  uint32_t dtype;
  uint8_t code, bits;
} kDlpackTypes[] = {
    {BP_F32, kDLFloat, 32}, {BP_F64, kDLFloat, 64}, {BP_F16, kDLFloat, 16}, {BP_BF16, kDLBfloat, 16},
    {BP_I32, kDLInt, 32},   {BP_I64, kDLInt, 64},   {BP_BOOL, kDLBool, 8},
    {BP_F8_E4M3, kDLFloat8_e4m3fn, 8}, {BP_F8_E5M2, kDLFloat8_e5m2, 8},
};

inline uint32_t dtype_of(const DLDataType& type) {
  for (const auto& row : kDlpackTypes) {
    if (row.code == type.code && row.bits == type.bits && type.lanes == 1) return row.dtype;
  }
  static constexpr const char* kCodes[] = {"int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
  const bool known = type.code < std::size(kCodes);
  const std::string code = known ? kCodes[type.code] : "code " + std::to_string(type.code) + " ";
  throw Failure(BP_E_UNSUPPORTED, "[dlpack] elements are " + code + std::to_string(type.bits) +
                                      (type.lanes != 1 ? "x" + std::to_string(type.lanes) : "") +
                                      "; cast them to float32, float64, float16, bfloat16, float8_e4m3fn, float8_e5m2, int32, int64 or bool");
}

/// "CUDA device 1", for messages.
inline std::string dlpack_name(const DLDevice& device) {
  static constexpr struct {
    DLDeviceType type;
    const char* name;
  } kNames[] = {{kDLCPU, "CPU"}, {kDLCUDA, "CUDA"}, {kDLCUDAHost, "page-locked CUDA host"}, {kDLOpenCL, "OpenCL"},
                {kDLVulkan, "Vulkan"}, {kDLMetal, "Metal"}, {kDLROCM, "ROCm"}, {kDLROCMHost, "page-locked ROCm host"},
                {kDLCUDAManaged, "CUDA managed"}, {kDLOneAPI, "oneAPI"}};
  for (const auto& row : kNames) {
    if (row.type == device.device_type) return std::string(row.name) + " device " + std::to_string(device.device_id);
  }
  return "DLPack device type " + std::to_string(device.device_type) + ", device " + std::to_string(device.device_id);
}

/// A received tensor: `bytes` at `first` hold all elements, element (0, ..., 0) at `offset`. bytes 0: there are none.
struct DlpackMemory {
  DLDevice device;
  char* first;
  uint64_t bytes;
  uint64_t offset;
  bp_tensor_desc desc;
};

inline bp_tensor_desc read_dlpack_desc(const DLTensor& t) {
  bp_tensor_desc desc{};
  desc.dtype = dtype_of(t.dtype);
  if (t.ndim < 0 || t.ndim > BP_MAX_RANK) {
    throw Failure(BP_E_UNSUPPORTED, "[dlpack] rank " + std::to_string(t.ndim) + "; 0 to 8 can be taken, reshape it");
  }
  desc.rank = static_cast<uint32_t>(t.ndim);
  if (t.ndim > 0 && t.shape == nullptr) throw Failure(BP_E_INVALID_ARGUMENT, "[dlpack] shape is NULL");
  int64_t dense = 1;
  for (int32_t i = t.ndim - 1; i >= 0; --i) {
    if (t.shape[i] < 0) throw Failure(BP_E_INVALID_ARGUMENT, "[dlpack] an extent is negative");
    desc.shape[i] = t.shape[i];
    desc.strides[i] = t.strides != nullptr ? t.strides[i] : dense;
    if (__builtin_mul_overflow(dense, std::max<int64_t>(t.shape[i], 1), &dense) || dense > INT64_MAX / 16) {
      throw Failure(BP_E_INVALID_ARGUMENT, "[dlpack] the tensor is larger than any memory");
    }
  }
  return desc;
}

inline DlpackMemory read_dlpack(const DLManagedTensorVersioned& tensor) {
  if (tensor.version.major != DLPACK_MAJOR_VERSION) {
    throw Failure(BP_E_ABI, "[dlpack] the tensor is of DLPack " + std::to_string(tensor.version.major) +
                                "; this is " + std::to_string(DLPACK_MAJOR_VERSION));
  }
  const DLTensor& t = tensor.dl_tensor;
  DlpackMemory memory{t.device, nullptr, 0, 0, read_dlpack_desc(t)};
  int64_t low = 0, high = 0;  // elements before and behind element (0, ..., 0)
  for (uint32_t i = 0; i < memory.desc.rank; ++i) {
    if (memory.desc.shape[i] == 0) return memory;
    int64_t reach = 0;
    int64_t& end = memory.desc.strides[i] < 0 ? low : high;
    if (__builtin_mul_overflow(memory.desc.shape[i] - 1, memory.desc.strides[i], &reach) ||
        __builtin_add_overflow(end, reach, &end) || end > INT64_MAX / 16 || end < INT64_MIN / 16) {
      throw Failure(BP_E_INVALID_ARGUMENT, "[dlpack] the strides lead beyond any memory");
    }
  }
  if (t.data == nullptr) throw Failure(BP_E_INVALID_ARGUMENT, "[dlpack] data is NULL, and there are elements");
  const uint32_t size = dtype_size(memory.desc.dtype);
  char* const origin = static_cast<char*>(t.data) + t.byte_offset;
  if (reinterpret_cast<uintptr_t>(origin) % size != 0) {
    throw Failure(BP_E_UNSUPPORTED, "[dlpack] the elements lie across multiples of their size; copy the tensor first");
  }
  memory.first = origin + low * static_cast<int64_t>(size);
  memory.bytes = static_cast<uint64_t>(high - low + 1) * size;
  memory.offset = static_cast<uint64_t>(-low) * size;
  return memory;
}

/// A tensor to lend, whose element (0, ..., 0) is at `origin`; its deleter calls released(context).
inline DLManagedTensorVersioned* make_dlpack(const DLDevice& device, void* origin, const bp_tensor_desc& desc,
                                             void (*released)(void*), void* context) {
  struct Loan {
    DLManagedTensorVersioned tensor{};
    int64_t shape[BP_MAX_RANK], strides[BP_MAX_RANK];
    void (*released)(void*);
    void* context;
  };
  auto loan = std::make_unique<Loan>();
  loan->released = released;
  loan->context = context;
  std::copy_n(desc.shape, BP_MAX_RANK, loan->shape);
  std::copy_n(desc.strides, BP_MAX_RANK, loan->strides);
  DLManagedTensorVersioned& tensor = loan->tensor;
  tensor.version = {DLPACK_MAJOR_VERSION, 0};
  tensor.manager_ctx = loan.get();
  tensor.deleter = [](DLManagedTensorVersioned* self) {
    const std::unique_ptr<Loan> ending(static_cast<Loan*>(self->manager_ctx));
    if (ending->released != nullptr) ending->released(ending->context);
  };
  const bool empty = std::find(desc.shape, desc.shape + desc.rank, 0) != desc.shape + desc.rank;
  tensor.dl_tensor.data = empty ? nullptr : origin;
  tensor.dl_tensor.device = device;
  tensor.dl_tensor.ndim = static_cast<int32_t>(desc.rank);
  for (const auto& row : kDlpackTypes) {
    if (row.dtype == desc.dtype) tensor.dl_tensor.dtype = {row.code, row.bits, 1};
  }
  tensor.dl_tensor.shape = loan->shape;
  tensor.dl_tensor.strides = loan->strides;
  return &loan.release()->tensor;
}

}  // namespace backplane::sdk
