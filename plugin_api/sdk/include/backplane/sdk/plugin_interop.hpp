// SPDX-License-Identifier: Apache-2.0
// The table of bp.interop from what a device offers; what an author declares is at the head of plugin.hpp.
#pragma once

#include <memory>

#include "backplane/sdk/dlpack.hpp"
#include "backplane/sdk/error.hpp"

namespace backplane::sdk {

template <class Device>
struct InteropThunks {
  using Buffer = typename Device::Buffer;

  static Device& of(bp_device* device) { return *reinterpret_cast<Device*>(device); }
  static void need(bool condition, const char* what) {
    if (!condition) throw Failure(BP_E_INVALID_ARGUMENT, what);
  }

  static bp_status import_host(bp_device* device, void* data, uint64_t bytes, uint32_t access, bp_buffer** out,
                               bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && data != nullptr && out != nullptr, "[import_host] device, data or out is NULL");
      if constexpr (kHasImport) {
        std::unique_ptr<Buffer> buffer = of(device).import_host(data, bytes, access);
        *out = reinterpret_cast<bp_buffer*>(buffer.release());
      }
    });
  }

  /// The memory as a buffer that does not own it.
  static std::unique_ptr<Buffer> borrow(Device& device, const DlpackMemory& memory) {
    if (memory.bytes == 0) return device.alloc(1, BP_MEMORY_DEVICE);
    if constexpr (kOwnImport) {
      return device.import_dlpack(memory.device, memory.first, memory.bytes);
    } else {
      const DLDeviceType type = memory.device.device_type;
      if (type != kDLCPU && type != kDLCUDAHost && type != kDLROCMHost) {
        throw Failure(BP_E_UNSUPPORTED, "[dlpack] the tensor is on " + dlpack_name(memory.device) +
                                            ", this device uses the host's memory; copy it there first");
      }
      return device.import_host(memory.first, memory.bytes, BP_ACCESS_READ | BP_ACCESS_WRITE);
    }
  }
  static bp_status dlpack_import(bp_device* device, DLManagedTensorVersioned* tensor, bp_buffer** out,
                                 uint64_t* offset, bp_tensor_desc* desc, bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && tensor != nullptr && out != nullptr && offset != nullptr && desc != nullptr,
           "[dlpack] device, tensor or an output is NULL");
      if constexpr (kHasDlpack) {
        const DlpackMemory memory = read_dlpack(*tensor);
        std::unique_ptr<Buffer> buffer = borrow(of(device), memory);
        need(buffer != nullptr, "internal: [sdk] the plugin returned no object");
        buffer->lent.reset(tensor);  // nothing can fail from here on: ownership moves on success only
        *out = reinterpret_cast<bp_buffer*>(buffer.release());
        *offset = memory.offset;
        *desc = memory.desc;
      }
    });
  }

  static bp_status dlpack_export(bp_device* device, bp_view view, const bp_tensor_desc* desc,
                                 void (*released)(void* context), void* context, DLManagedTensorVersioned** out,
                                 bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && view.buffer != nullptr && desc != nullptr && out != nullptr,
           "[dlpack] device, buffer, desc or out is NULL");
      need(dtype_size(desc->dtype) != 0 && desc->rank <= BP_MAX_RANK, "[dlpack] the dtype or rank is unknown");
      if constexpr (kHasDlpack) {
        const DlpackPlace place = of(device).dlpack_place(*reinterpret_cast<const Buffer*>(view.buffer));
        *out = make_dlpack(place.device, static_cast<char*>(place.address) + view.offset, *desc, released, context);
      }
    });
  }

  static bp_status native(void* handle, uint32_t what, void** out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(handle != nullptr && out != nullptr, "[native] handle or out is NULL");
      if constexpr (kHasNative) *out = Device::native(handle, what);
    });
  }

  static constexpr bool kHasImport = requires(Device& d) { d.import_host(nullptr, 0, 0); };
  static constexpr bool kOwnImport = requires(Device& d) { d.import_dlpack(DLDevice{}, nullptr, 0); };
  static constexpr bool kHasDlpack = (kHasImport || kOwnImport) && requires(Device& d, Buffer& b) {
    d.dlpack_place(b);
    b.lent.reset();
  };
  static constexpr bool kHasNative = requires { Device::native(nullptr, 0); };
  static constexpr bool kOffered = kHasImport || kHasDlpack || kHasNative;

  static constexpr bp_interop_api kTable{sizeof(bp_interop_api),
                                         BP_VERSION(1, 0),
                                         kHasImport ? import_host : nullptr,
                                         kHasDlpack ? dlpack_import : nullptr,
                                         kHasDlpack ? dlpack_export : nullptr,
                                         nullptr,  // export_handle, import_handle: no card has them yet
                                         nullptr,
                                         kHasNative ? native : nullptr};
};

}  // namespace backplane::sdk
